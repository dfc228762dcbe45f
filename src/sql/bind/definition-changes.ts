/** What a statement makes of the catalog: the tables and views it changes, and whether those that rest on them stand. */
import { type ObjectId, sqlError, VerityError } from '../../base/index.ts';
import type { Index, TableSchema } from '../../codec/index.ts';
import type { Catalog, DefinitionContext, ResultColumn } from '../contract.ts';
import { tokenize } from '../parse/lexer.ts';
import type { StatementTree } from '../parse/script.ts';
import { catalogFrom } from '../schema/catalog.ts';
import { indexesOf } from '../schema/table-layout.ts';
import { relationNames } from './constraints.ts';
import { offsetOf } from './context.ts';

/** What the binders of definitions work with. */
export interface DefinitionParts {
  readonly tree: StatementTree;
  readonly catalog: Catalog;
  readonly context: DefinitionContext;
  /** Where the statement starts, for errors about what has no place of its own. */
  readonly start: number;
  /** The columns of a SELECT. Throws what binding it throws. */
  readonly columnsOf: (query: string, catalog: Catalog) => readonly ResultColumn[];
}

export class DefinitionChanges {
  readonly #parts: DefinitionParts;
  readonly #before: ReadonlyMap<ObjectId, TableSchema>;
  readonly #changed = new Map<ObjectId, TableSchema>();

  constructor(parts: DefinitionParts) {
    this.#parts = parts;
    this.#before = new Map(parts.catalog.relations().map((each) => [each.id, each]));
  }

  /** All tables and views as they are now. */
  relations(): readonly TableSchema[] {
    const all = new Map([...this.#before, ...this.#changed]);
    return [...all.values()].filter((each) => each.dropped !== true);
  }

  byName(name: string): TableSchema | undefined {
    return this.relations().find((each) => each.name === name);
  }

  byId(id: ObjectId): TableSchema | undefined {
    return this.#changed.get(id) ?? this.#before.get(id);
  }

  /** The table of an index, and the index. */
  index(name: string): { readonly table: TableSchema; readonly index: Index } | undefined {
    for (const table of this.relations()) {
      const index = indexesOf(table).find((each) => each.name === name);
      if (index !== undefined) return { table, index };
    }
    return undefined;
  }

  set(schema: TableSchema): void {
    const before = this.#before.get(schema.id);
    this.#changed.set(schema.id, { ...schema, version: (before?.version ?? 0) + 1 });
  }

  drop(schema: TableSchema): void {
    const dropped: { -readonly [Name in keyof TableSchema]: TableSchema[Name] } = { ...schema };
    delete dropped.building;
    this.set({ ...dropped, dropped: true });
  }

  /** The catalog as the changes leave it. */
  catalog(): Catalog {
    return catalogFrom(this.#parts.catalog.tenant, {
      relation: (name) => this.byName(name),
      relations: () => this.relations(),
    });
  }

  /** The changed tables and views. Throws DEPENDENT_OBJECTS if a view would no longer give what it gave. */
  result(): readonly TableSchema[] {
    const catalog = this.catalog();
    for (const view of this.relations()) {
      const isTouched = view.view?.reads.some(({ table }) => this.#changed.has(table)) === true;
      if (isTouched && !this.#givesTheSame(view, catalog)) {
        throw new VerityError(
          'DEPENDENT_OBJECTS',
          `View "${view.name}" reads what the statement changes; drop the view first.`,
          { details: { view: view.name } },
        );
      }
    }
    return [...this.#changed.values()];
  }

  /** Whether a view's text may find another column than before, as one around a subquery, or join by others. */
  #mayMeanOther({ view }: TableSchema): boolean {
    const words = view && wordsOf(view.query);
    return (view?.reads ?? []).some(({ table, version }) => {
      const before = this.#before.get(table);
      const after = this.#changed.get(table);
      if (before === undefined || after === undefined) return false;
      // The view does not see columns that were added since.
      const seen = ({ columns, ...rest }: TableSchema): TableSchema => ({
        ...rest,
        columns: columns.filter(
          ({ since, dropped }) => dropped !== true && (since ?? 1) <= version,
        ),
      });
      const names = namesChanged(seen(before), seen(after));
      return (
        (names.size > 0 && words?.has('natural') === true) ||
        [...names].some((name) => words?.has(name) === true)
      );
    });
  }

  #givesTheSame(schema: TableSchema, catalog: Catalog): boolean {
    const view = catalog.view(schema.name);
    if (view === undefined || this.#mayMeanOther(schema)) return false;
    try {
      const columns = this.#parts.columnsOf(view.text, view.catalog);
      return (
        columns.length === schema.columns.length &&
        columns.every((column, place) => column.type.name === schema.columns[place]?.type.name)
      );
    } catch (error) {
      if (error instanceof VerityError) return false;
      throw error;
    }
  }
}

/** Names of columns that one table has and the other has not. */
function namesChanged(before: TableSchema, after: TableSchema): Set<string> {
  const [old, now] = [before, after].map(
    ({ columns }) => new Set(columns.map(({ name }) => name.toLowerCase())),
  ) as [Set<string>, Set<string>];
  return new Set([
    ...[...old].filter((name) => !now.has(name)),
    ...[...now].filter((name) => !old.has(name)),
  ]);
}

/** The words of a text in lower case, names without their quotes. */
const wordsOf = (text: string): Set<string> =>
  new Set(
    tokenize(text).map(({ start, end }) =>
      text
        .slice(start, end)
        .replace(/^"(.*)"$/s, '$1')
        .replaceAll('""', '"')
        .toLowerCase(),
    ),
  );

/** The name of a relation that does not exist yet. Throws DUPLICATE_TABLE if a table, view or index has it. */
export function checkNewName(
  changes: DefinitionChanges,
  tree: StatementTree,
  name: string,
  location: number | undefined,
): void {
  if (!relationNames(changes).has(name)) return;
  throw sqlError(
    'DUPLICATE_TABLE',
    `"${name}" is the name of a table, view or index already; use another name.`,
    offsetOf(tree, location),
  );
}
