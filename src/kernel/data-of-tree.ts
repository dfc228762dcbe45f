import { limits, systemTenant, type TenantId, type TreeId, VerityError } from '../base/index.ts';
import { decodeKey, Reader } from '../codec/index.ts';
import { indexesOf } from '../sql/index.ts';
import type { ReadView } from '../store/index.ts';
import { tablesOf, tenantsTree } from './objects.ts';

/** Whose data a tree holds, by names: as far as they can be read. */
export interface DataOfTree {
  readonly tenant?: string;
  /** The table, also of an index. */
  readonly table?: string;
}

/** The names of the tenant and table that a tree is of. What cannot be read is left out. */
export function dataOfTree(view: ReadView, tree: TreeId): DataOfTree {
  const tenant = Math.floor(tree / limits.objectsPerTenantMax) as TenantId;
  const object = tree % limits.objectsPerTenantMax;
  if (tenant === systemTenant) return {};
  const named = readable(() => tenantName(view, tenant));
  const table = readable(
    () =>
      tablesOf(view, tenant).find(
        (each) => each.id === object || indexesOf(each).some(({ id }) => id === object),
      )?.name,
  );
  return { ...(named !== undefined && { tenant: named }), ...(table !== undefined && { table }) };
}

function tenantName(view: ReadView, tenant: TenantId): string | undefined {
  const cursor = view.scan(tenantsTree, {});
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    if (new Reader(entry.row).u32() === tenant)
      return decodeKey([{ name: 'text' }], entry.key)[0] as string;
  }
  return undefined;
}

/** Names may lie on damaged pages, too. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof VerityError) return undefined;
    throw error;
  }
}
