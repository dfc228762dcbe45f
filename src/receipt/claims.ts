/** What a receipt claims, held against the bytes that it opens: places of events, whole positions, a row's history. */
import type { CommandMetadata } from '../codec/index.ts';
import { check } from './checks.ts';
import { type DecodedEvent, isRow, type RowBody } from './decoded-event.ts';
import type { Receipt } from './receipt-text.ts';

/** All that a receipt opens, decoded. */
export interface Opened {
  readonly events: readonly DecodedEvent[];
  readonly context: readonly DecodedEvent[];
  /** Of both. */
  readonly byLeaf: ReadonlyMap<number, DecodedEvent>;
}

/** Leaves ascend, none is there twice, and the record is the last one under the note. Throws CheckFailure 'leaves'. */
export function checkLeaves({ events, context, checkpoint }: Receipt, size: number): void {
  for (const list of [events, context])
    list.forEach(({ leaf }, index) => {
      const before = list[index - 1]?.leaf ?? -1;
      check('leaves', leaf > before, 'Events are not in ascending order of their leaves.');
    });
  check(
    'leaves',
    checkpoint.record.leaf === size - 1,
    'The checkpoint record is not the last leaf under the note.',
  );
  const leaves = new Set(events.map(({ leaf }) => leaf));
  for (const { leaf } of [...events, ...context])
    check('leaves', leaf < size - 1, 'An event is not below the checkpoint record.');
  for (const { leaf } of context) check('leaves', !leaves.has(leaf), 'A leaf is opened twice.');
}

/** Positions ascend with leaves and lie below the record's. Throws CheckFailure 'event'. */
export function checkPlaces({ byLeaf }: Opened, recordPosition: number): void {
  const inOrder = [...byLeaf.values()].toSorted((left, right) => left.leaf - right.leaf);
  inOrder.forEach(({ position, leaf }, index) => {
    check(
      'event',
      position >= 1 && position < recordPosition,
      `The event at leaf ${leaf} has a position that is none below the checkpoint's.`,
    );
    const before = inOrder[index - 1]?.position ?? 0;
    check('event', position >= before, 'Positions descend while leaves ascend.');
  });
}

/** All of one tenant, which is returned. Throws CheckFailure 'tenant'. */
export function tenantOf({ events, context }: Opened, stated: readonly number[]): number {
  const tenant = events[0]?.tenant ?? stated[0];
  check('tenant', tenant !== undefined, 'The receipt claims nothing.');
  const foreign = [...events, ...context].find(
    (event) => event.tenant !== tenant && !isCreationOf(event, tenant),
  );
  check('tenant', foreign === undefined, 'Events of more than one tenant are in the receipt.');
  return tenant;
}

export function isCreationOf({ tenant: owner, body }: DecodedEvent, tenant: number): boolean {
  return owner === 0 && body.type === 'tenantCreated' && body.created === tenant;
}

/** The events of one command, as far as they are opened. */
export interface OpenedCommand {
  readonly position: number;
  readonly command: CommandMetadata | undefined;
  readonly events: readonly DecodedEvent[];
}

/** The claimed events by position; the command may stand in the context. */
export function commandsOf({ events, context }: Opened): OpenedCommand[] {
  const metadata = new Map<number, CommandMetadata>();
  for (const { position, command } of [...context, ...events])
    if (command !== undefined) metadata.set(position, command);
  const commands: (OpenedCommand & { readonly events: DecodedEvent[] })[] = [];
  for (const event of events) {
    const last = commands.at(-1);
    if (last?.position === event.position) last.events.push(event);
    else
      commands.push({
        position: event.position,
        command: metadata.get(event.position),
        events: [event],
      });
  }
  return commands;
}

/** Every command is there as a whole. Throws CheckFailure 'position'. */
export function checkPositions(opened: Opened, kind: 'position' | 'range'): void {
  const commands = commandsOf(opened);
  check('position', commands.length > 0, 'The receipt claims no position.');
  check(
    'position',
    kind === 'range' || commands.length === 1,
    'A receipt of a position has events of more than one.',
  );
  for (const { position, events } of commands) {
    const [first, ...rest] = events as [DecodedEvent, ...DecodedEvent[]];
    check(
      'position',
      first.command !== undefined && rest.every(({ command }) => command === undefined),
      `The first event of position ${position} is missing, or is not alone in naming the command.`,
    );
    check(
      'position',
      first.command.eventCount === events.length,
      `Position ${position} has ${first.command.eventCount} events; the receipt has ${events.length} of them.`,
    );
    check(
      'position',
      rest.every(({ leaf }, index) => leaf === first.leaf + index + 1),
      `The events of position ${position} do not lie side by side.`,
    );
  }
}

/** A row's history, whose last event is the newest. */
export interface OpenedHistory {
  readonly last: DecodedEvent;
  readonly body: RowBody & { readonly key: NonNullable<RowBody['key']> };
}

/** The events are all of one row and linked from the first to the last. Throws CheckFailure 'history'. */
export function checkHistory({ events }: Opened): OpenedHistory {
  const last = events.at(-1);
  check('history', last !== undefined, 'The receipt claims no event of a row.');
  const { body } = last;
  check('history', isRow(body) && body.key !== undefined, 'The last event shows no key of a row.');
  events.forEach((event, index) => {
    const each = event.body;
    check(
      'history',
      isRow(each) && each.object === body.object && each.key === body.key,
      `The event at leaf ${event.leaf} is not of the row.`,
    );
    check(
      'history',
      each.previousLeaf === events[index - 1]?.leaf,
      `The event at leaf ${event.leaf} does not continue the one before it: an event of the row is missing.`,
    );
  });
  return { last, body: { ...body, key: body.key } };
}
