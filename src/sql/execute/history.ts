/** verity_history and verity_diff: what a table's rows were. */
import { type Position, treeOf, type Value, VerityError } from '../../base/index.ts';
import { decodeKey, encodeBoundKey, keyPrefixRange, type TableSchema } from '../../codec/index.ts';
import type { KeyHistory, KeyRange, PastView, ReadView, StoreEntry } from '../../store/index.ts';
import type { TableFunction } from '../bind/bound-query.ts';
import type { CommandFacts } from '../contract.ts';
import { layoutOf } from '../schema/table-layout.ts';
import { compile } from './compile.ts';
import { type Execution, executionOf } from './execution.ts';
import type { OpenRows, Row, TreeScope } from './row-source.ts';
import { noRow } from './source.ts';

function pastOf(view: ReadView): PastView {
  const { past } = view;
  if (past !== undefined) return past;
  throw new VerityError(
    'UNSUPPORTED_SQL',
    'A transaction sees no history; ask for it outside of the transaction.',
  );
}

/** One row a version, by key and within a key from the oldest on. */
export function compileHistory(
  call: Extract<TableFunction, { kind: 'history' }>,
  { tenant }: TreeScope,
): OpenRows {
  const { table } = call;
  const tree = treeOf(tenant, table.id);
  const { keyTypes } = layoutOf(table);
  const evaluates = call.key.map((value) => compile(value));
  return (view, parameters, context) => {
    const execution = executionOf(context);
    const values = evaluates.map((evaluate) => evaluate(noRow, parameters, context));
    if (values.includes(null)) return { next: () => undefined };
    const range: KeyRange =
      values.length === 0
        ? {}
        : keyPrefixRange(encodeBoundKey(keyTypes.slice(0, values.length), values));
    const keys = pastOf(view).histories(tree, range);
    const commands = new Map<Position, CommandFacts | undefined>();
    let versions: Iterator<Row, undefined> = [].values();
    return {
      next: () => {
        for (;;) {
          const version = versions.next();
          if (version.done !== true) {
            execution.countRead();
            return version.value;
          }
          const next = keys.next();
          if (next === undefined) return undefined;
          versions = tellVersions(table, next, (position) =>
            commandAt(commands, execution, position),
          );
        }
      },
    };
  };
}

type Tell = (position: Position) => CommandFacts | undefined;

function commandAt(
  known: Map<Position, CommandFacts | undefined>,
  execution: Execution,
  position: Position,
): CommandFacts | undefined {
  if (!known.has(position)) known.set(position, execution.commandAt(position));
  return known.get(position);
}

function* tellVersions(
  table: TableSchema,
  { key, versions }: KeyHistory,
  tell: Tell,
): Generator<Row, undefined> {
  const { codec, keyTypes } = layoutOf(table);
  let exists = false;
  for (const { row, from } of versions.toReversed()) {
    const operation = row === undefined ? 'delete' : exists ? 'update' : 'insert';
    exists = row !== undefined;
    const values =
      row === undefined ? keyRow(table, decodeKeyOf(keyTypes, key)) : codec.decode(row);
    const facts = tell(from);
    yield [
      BigInt(from),
      facts === undefined ? null : BigInt(facts.time),
      operation,
      facts?.actor ?? null,
      facts?.reason ?? null,
      ...visible(table, values),
    ];
  }
  return undefined;
}

const decodeKeyOf = (types: Parameters<typeof decodeKey>[0], key: KeyHistory['key']): Row =>
  types.length === 0 ? [] : decodeKey(types, key);

/** Of a row that is gone, what its key says. */
function keyRow(table: TableSchema, key: Row): Row {
  const row = new Array<Value>(table.columns.length).fill(null);
  table.primaryKey.forEach((ordinal, index) => {
    row[ordinal] = key[index] as Value;
  });
  return row;
}

const visible = (table: TableSchema, row: Row): Row =>
  row.filter((_, ordinal) => table.columns[ordinal]?.dropped !== true);

/** Rows that differ between two positions: as they are at the second, then as they were at the first. */
export function compileDiff(
  call: Extract<TableFunction, { kind: 'diff' }>,
  { tenant }: TreeScope,
): OpenRows {
  const { table } = call;
  const tree = treeOf(tenant, table.id);
  const [from, to] = [compile(call.from), compile(call.to)];
  const { codec } = layoutOf(table);
  const blank: Row = visible(table, new Array<Value>(table.columns.length).fill(null));
  const rowOf = (entry: StoreEntry | undefined): Row =>
    entry === undefined ? blank : visible(table, codec.decode(entry.row));
  return (view, parameters, context) => {
    const execution = executionOf(context);
    const positions = [from, to].map((evaluate) => evaluate(noRow, parameters, context));
    if (positions.includes(null)) return { next: () => undefined };
    const past = pastOf(view);
    const [before, after] = positions.map((position) =>
      past.viewAt(positionOf(position as bigint, past)).scan(tree, {}),
    ) as [ReturnType<ReadView['scan']>, ReturnType<ReadView['scan']>];
    let old = before.next();
    let now = after.next();
    return {
      next: () => {
        while (old !== undefined || now !== undefined) {
          execution.countRead();
          const [left, right] = [old, now];
          const takesOld = right === undefined || (left !== undefined && left.key <= right.key);
          const takesNow = left === undefined || (right !== undefined && right.key <= left.key);
          if (takesOld) old = before.next();
          if (takesNow) now = after.next();
          if (takesOld && takesNow && left?.from === right?.from) continue;
          const operation = takesOld ? (takesNow ? 'update' : 'delete') : 'insert';
          return [
            operation,
            ...rowOf(takesNow ? right : undefined),
            ...rowOf(takesOld ? left : undefined),
          ];
        }
        return undefined;
      },
    };
  };
}

/** A position up to the one that the query sees. Throws POSITION_UNKNOWN. */
function positionOf(value: bigint, past: PastView): Position {
  if (value >= 0n && value <= BigInt(past.position)) return Number(value) as Position;
  throw new VerityError(
    'POSITION_UNKNOWN',
    `verity_diff takes positions from 0 to ${past.position}, the one that the query sees.`,
  );
}
