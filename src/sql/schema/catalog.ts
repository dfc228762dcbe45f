/** A catalog over stored definitions: tables apart from views, and what a view may see of tables. */
import type { ObjectId, TenantId } from '../../base/index.ts';
import type { TableSchema, View } from '../../codec/index.ts';
import type { Catalog, ViewDefinition } from '../contract.ts';

/** Where definitions are found. */
export interface DefinitionSource {
  /** The table or view of a name. */
  relation(name: string): TableSchema | undefined;
  relations(): readonly TableSchema[];
}

export function catalogFrom(tenant: TenantId, source: DefinitionSource): Catalog {
  const catalog: Catalog = {
    tenant,
    table: (name) => {
      const relation = source.relation(name);
      return relation?.view === undefined ? relation : undefined;
    },
    view: (name) => {
      const relation = source.relation(name);
      return relation?.view === undefined
        ? undefined
        : viewDefinition(catalog, relation, relation.view);
    },
    relations: () => source.relations(),
  };
  return catalog;
}

function viewDefinition(catalog: Catalog, schema: TableSchema, view: View): ViewDefinition {
  return {
    text: view.query,
    columns: schema.columns.map((column) => column.name),
    catalog: {
      ...catalog,
      table: (name) => {
        const table = catalog.table(name);
        return table && asRead(table, view);
      },
    },
  };
}

const hiding = new WeakMap<TableSchema, Map<number, TableSchema>>();

/** The table without the columns that it got after the view was made. */
function asRead(table: TableSchema, view: View): TableSchema {
  const version = versionRead(view, table.id);
  if (version === undefined || table.columns.every(({ since }) => (since ?? 1) <= version))
    return table;
  const known = hiding.get(table) ?? new Map<number, TableSchema>();
  hiding.set(table, known);
  let schema = known.get(version);
  if (schema === undefined) {
    const columns = table.columns.map((column) =>
      (column.since ?? 1) <= version ? column : { ...column, name: '', dropped: true as const },
    );
    schema = { ...table, columns };
    known.set(version, schema);
  }
  return schema;
}

const versionRead = (view: View, table: ObjectId): number | undefined =>
  view.reads.find((each) => each.table === table)?.version;
