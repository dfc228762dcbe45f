/** The claimed events as facts: tables and columns by their names, and what was there before. */
import { utf8Decode } from '../base/index.ts';
import { CheckFailure, check } from './checks.ts';
import { commandsOf, type Opened, type OpenedCommand } from './claims.ts';
import { type DecodedEvent, isRow, type OtherBody, type RowBody } from './decoded-event.ts';
import type { CommandFacts, OtherFacts, RowFacts, ShownRow } from './facts.ts';
import { shownTime } from './shown-value.ts';
import { definitionOf } from './table-definition.ts';
import type { Tables } from './tables.ts';

const changes = { rowInserted: 'insert', rowUpdated: 'update', rowDeleted: 'delete' } as const;

/** Throws CheckFailure 'definition' or 'row'. */
export function commandFacts(opened: Opened, tables: Tables): CommandFacts[] {
  return commandsOf(opened).map((each) => ({
    ...metadataFacts(each),
    events: each.events.map((event) =>
      isRow(event.body)
        ? rowFacts(event, event.body, { opened, tables })
        : otherFacts(event.leaf, event.body),
    ),
  }));
}

function metadataFacts({ position, command }: OpenedCommand): Omit<CommandFacts, 'events'> {
  if (command === undefined) return { position };
  const { time, actor, reason, statement, eventCount } = command;
  return {
    position,
    time: shownTime(time),
    ...(actor !== undefined && { actor }),
    ...(reason !== undefined && { reason }),
    ...(statement !== undefined && { statement }),
    eventCount,
  };
}

function rowFacts(
  event: DecodedEvent,
  body: RowBody,
  of: { readonly opened: Opened; readonly tables: Tables },
): RowFacts {
  const { tables } = of;
  const table = tables.of(event, body);
  const written = body.row === undefined ? undefined : tables.row(table, body.row);
  const before = rowBefore(event, body, of);
  return {
    leaf: event.leaf,
    change: changes[body.type],
    table: table.definition.name,
    object: body.object,
    ...(body.key !== undefined && { key: tables.key(table, body.key) }),
    ...(before !== undefined && { before }),
    ...(written !== undefined && { after: written.values }),
    withheld: written?.withheld ?? [],
  };
}

/** What the event before it had written, where that is opened. */
function rowBefore(
  { leaf }: DecodedEvent,
  body: RowBody,
  { opened, tables }: { readonly opened: Opened; readonly tables: Tables },
): ShownRow | undefined {
  if (body.previousLeaf === undefined) return undefined;
  check(
    'row',
    body.previousLeaf < leaf,
    `The event at leaf ${leaf} names one before it that is not.`,
  );
  const earlier = opened.byLeaf.get(body.previousLeaf);
  if (earlier === undefined) return undefined;
  const its = earlier.body;
  // Where a key is withheld nobody can tell whether it is the same, and what was there before is not shown.
  const isHidden = body.key === undefined || (isRow(its) && its.key === undefined);
  check(
    'row',
    isRow(its) && its.object === body.object && (isHidden || its.key === body.key),
    `The event that the one at leaf ${leaf} names as the one before it is not of the same row.`,
  );
  if (isHidden) return undefined;
  return its.row === undefined ? undefined : tables.row(tables.of(earlier, its), its.row).values;
}

function otherFacts(leaf: number, body: OtherBody): OtherFacts {
  if (body.type === 'tableDefined')
    return { leaf, change: 'define', event: body.type, name: definitionOf(body.schema).name };
  if (body.type !== 'streamAppended') return { leaf, change: 'other', event: body.type };
  const { name, version } = body;
  return { leaf, change: 'append', event: body.type, name, version, data: textOf(leaf, body.data) };
}

function textOf(leaf: number, bytes: Uint8Array): string {
  try {
    return utf8Decode(bytes);
  } catch {
    throw new CheckFailure('row', `The data of the event at leaf ${leaf} is not UTF-8.`);
  }
}
