/** The answer of the check, as elements: what is proved, by column names, or which check does not hold. */
import type {
  CheckpointFacts,
  CommandFacts,
  EventFacts,
  ReceiptFacts,
  ReceiptResult,
  RowFacts,
  ShownRow,
  ShownValue,
} from '../receipt/index.ts';
import { element, tableOf } from './elements.ts';

export function reportOf(result: ReceiptResult): HTMLElement {
  if (!result.ok)
    return element(
      'section',
      'bad',
      element('h2', '', 'This receipt does not hold.'),
      element('p', '', result.message),
      element('p', 'detail', `The check that failed: ${result.check}`),
    );
  const { receipt } = result;
  return element(
    'section',
    'good',
    element('h2', '', 'This receipt holds.'),
    element('p', '', claimText(receipt)),
    ...historyParts(receipt),
    ...receipt.commands.map(commandPart),
    ...stateParts(receipt),
    element('h3', '', 'Checkpoint'),
    checkpointPart(receipt),
  );
}

function claimText({ kind, tenant, origin, commands, leavesBetween }: ReceiptFacts): string {
  const name = tenant.name === undefined ? `number ${tenant.id}` : `“${tenant.name}”`;
  const where = `of tenant ${name} in the log ${origin}`;
  switch (kind) {
    case 'position':
      return `All that was recorded at position ${commands[0]?.position ?? 0} ${where}.`;
    case 'range':
      return leavesBetween === 0
        ? `All that was recorded at ${commands.length} positions ${where}; nothing is left out between them.`
        : `All that was recorded at ${commands.length} positions ${where}. Between them are ${leavesBetween} events that are not shown: of others, or left out.`;
    case 'row':
      return `The history of one row ${where}.`;
    case 'state':
      return `What the state ${where} is for some keys.`;
  }
}

function historyParts({ history }: ReceiptFacts): HTMLElement[] {
  if (history === undefined) return [];
  const { table, key, changes, position, endProved } = history;
  const whole = `Table “${table}”, ${keyText(key)}: ${changes} changes, all that there were up to position ${position}.`;
  const end =
    'The row is deleted. That nothing was written and deleted again behind the last change is not proved.';
  return [element('p', '', whole), ...(endProved ? [] : [element('p', 'note', end)])];
}

function stateParts({ state, kind }: ReceiptFacts): HTMLElement[] {
  if (state === undefined || kind !== 'state') return [];
  const rows = state.map(({ table, object, key, position, row }) => [
    `${table} (table number ${object}), ${keyText(key)}`,
    row === undefined ? `no such row at position ${position}` : `as above at position ${position}`,
  ]);
  return [element('h3', '', 'State'), tableOf(rows)];
}

function commandPart({
  position,
  time,
  actor,
  reason,
  statement,
  events,
}: CommandFacts): HTMLElement {
  const facts: (readonly [string, string | undefined])[] = [
    ['Time', time],
    ['Actor', actor],
    ['Reason', reason],
    ['Statement', statement],
  ];
  const known = facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  return element(
    'article',
    '',
    element('h3', '', `Position ${position}`),
    ...(known.length === 0 ? [] : [tableOf(known)]),
    ...events.map(eventPart),
  );
}

function eventPart(event: EventFacts): HTMLElement {
  if ('object' in event) return rowPart(event);
  const { change, event: type, name, version, data } = event;
  const what =
    change === 'append'
      ? `Appended version ${version ?? 0} to the stream “${name ?? ''}”`
      : change === 'define'
        ? `Defined “${name ?? ''}”`
        : `An event of type ${type}`;
  return element(
    'div',
    'event',
    element('h4', '', what),
    ...(data === undefined ? [] : [element('pre', '', data)]),
  );
}

const verbs = { insert: 'Inserted into', update: 'Updated in', delete: 'Deleted from' } as const;

function rowPart({ change, table, key, before, after, withheld }: RowFacts): HTMLElement {
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {}), ...withheld]);
  const rows = [...names].map((name) => [
    name,
    ...(before === undefined ? [] : [valueText(valueOf(before, name), false)]),
    ...(after === undefined ? [] : [valueText(valueOf(after, name), withheld.includes(name))]),
  ]);
  const head = [
    'Column',
    ...(before === undefined ? [] : ['Before']),
    ...(after === undefined ? [] : ['After']),
  ];
  return element(
    'div',
    'event',
    element('h4', '', `${verbs[change]} “${table}”${key === undefined ? '' : `: ${keyText(key)}`}`),
    ...(rows.length === 0 ? [] : [tableOf(rows, head)]),
  );
}

function valueOf(row: ShownRow, name: string): ShownValue | undefined {
  return Object.hasOwn(row, name) ? row[name] : undefined;
}

function valueText(value: ShownValue | undefined, isWithheld: boolean): HTMLElement | string {
  if (isWithheld) return element('i', 'quiet', 'withheld');
  if (value === undefined) return '';
  return value === null ? element('i', 'quiet', 'NULL') : shownText(value);
}

function shownText(value: ShownValue): string {
  if (value === null) return 'NULL';
  if (typeof value !== 'object') return String(value);
  return `${value.lengthBytes} bytes with SHA-256 ${value.sha256}`;
}

function keyText(key: ShownRow): string {
  return Object.entries(key)
    .map(([name, value]) => `${name} = ${shownText(value)}`)
    .join(', ');
}

function checkpointPart({ origin, checkpoint }: ReceiptFacts): HTMLElement {
  const { size, root, time, position, stateHash, statePosition } = checkpoint;
  return tableOf([
    ['Log', origin],
    ['Taken', `${time}, by the database’s clock`],
    ['Covers', `positions up to ${position}; ${size} events`],
    ['Root of the tree', root],
    ...(stateHash === undefined
      ? []
      : [['State', `${stateHash} at position ${statePosition ?? 0}`]]),
    ...trustRows(checkpoint),
  ]);
}

function trustRows(checkpoint: CheckpointFacts): string[][] {
  const { signedBy, handOvers, cosignatures, timeStamps, timeStampsUnchecked } = checkpoint;
  return [
    ...signedBy.map((key) => ['Signed by', key]),
    ...handOvers.map(({ to }) => ['Handed over to', to]),
    ...cosignatures.map(({ witness, time }) => ['Witnessed by', `${witness} at ${time}`]),
    ...timeStamps.map(({ authority, time }) => ['Time stamp', `${authority} at ${time}`]),
    ...(timeStampsUnchecked === 0
      ? []
      : [['Time stamps', `${timeStampsUnchecked}, which this page does not check`]]),
  ];
}
