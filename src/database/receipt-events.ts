/** Events of the log as receipts show them: whole, or with the columns withheld that are not asked for. */
import { VerityError } from '../base/index.ts';
import type { TableSchema } from '../codec/index.ts';
import type { OpenedLogEvent } from '../engine/index.ts';
import { type EventField, fieldCommitment, type ReceiptEvent } from '../receipt/index.ts';
import { sha256 } from '../crypto/index.ts';

/** What of a row's event is shown. */
export interface ShownColumns {
  /** Names of columns. */
  readonly names: ReadonlySet<string>;
  /** The key is shown in any case: the receipt is of that row. */
  readonly withKey: boolean;
}

/** The event with all that it holds. */
export function wholeEvent({ leaf, bytes, salt, fields }: OpenedLogEvent): ReceiptEvent {
  if (fields !== undefined) return { leaf, fields };
  return { leaf, event: bytes, salt: salt as Uint8Array };
}

/**
 * A row's event with the columns that are shown; what its command answered is withheld. Throws INVALID_ARGUMENT when the event
 * can only be shown as a whole.
 */
export function eventShowing(
  opened: OpenedLogEvent,
  table: TableSchema,
  shown: ShownColumns,
): ReceiptEvent {
  const { leaf, fields } = opened;
  if (fields === undefined)
    throw new VerityError(
      'INVALID_ARGUMENT',
      `Rows of table "${table.name}" are committed to as a whole, so no columns can be withheld. Leave columns out, or alter the table with disclosure = 'field' for what is written from then on.`,
    );
  const roles = rolesOf(opened, table);
  const isShown = isShownOf(table, shown);
  const keyShown = showsKey(table, shown);
  const showsAll = roles.every((role) => typeof role !== 'number' || isShown(role));
  const isWithheld = (role: Role | undefined): boolean => {
    if (typeof role === 'number') return !isShown(role);
    if (role === 'answerLength' || role === 'answer') return true;
    if (role === 'rowLength' || role === 'blobs') return !showsAll;
    return role === 'key' && !keyShown;
  };
  return {
    leaf,
    fields: fields.map((field, index): EventField =>
      isWithheld(roles[index]) ? { commitment: fieldCommitment(sha256, field) } : field,
    ),
  };
}

function isShownOf(
  { columns }: TableSchema,
  { names }: ShownColumns,
): (ordinal: number) => boolean {
  return (ordinal) => {
    const column = columns[ordinal];
    return column !== undefined && column.dropped !== true && names.has(column.name);
  };
}

/** Whether events of the table's rows show their key. */
export function showsKey(table: TableSchema, shown: ShownColumns): boolean {
  return shown.withKey || table.primaryKey.every(isShownOf(table, shown));
}

/** What a field is; a number: the value of that column. */
type Role =
  | 'head'
  | 'answerLength'
  | 'command'
  | 'answer'
  | 'table'
  | 'key'
  | 'rowLength'
  | 'bitmap'
  | 'previous'
  | 'blobs'
  | number;

/** What each field of the event is (docs/format/events.md, Fields). */
function rolesOf({ event, fields = [] }: OpenedLogEvent, table: TableSchema): Role[] {
  const row: Role[] = event.type === 'rowDeleted' ? [] : ['rowLength', ...rowRoles(table)];
  const behind: Role[] = ['table', 'key', ...row, 'previous', 'blobs'];
  // An answer stands in three fields of its own.
  const hasAnswer = fields.length > behind.length + 1;
  return [
    'head',
    ...(hasAnswer ? (['answerLength', 'command', 'answer'] as const) : []),
    ...behind,
  ];
}

function rowRoles({ columns }: TableSchema): Role[] {
  return columns.flatMap(({ since }, ordinal): Role[] => {
    const group = since ?? 1;
    const before = ordinal === 0 ? undefined : (columns[ordinal - 1]?.since ?? 1);
    return group === before ? [ordinal] : ['bitmap', ordinal];
  });
}
