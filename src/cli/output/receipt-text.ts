/** What a receipt that holds shows, for a person to read. */
import type {
  CommandFacts,
  EventFacts,
  ReceiptFacts,
  RowFacts,
  ShownRow,
  ShownValue,
} from '../../receipt/index.ts';
import { renderTable, type TableStyle } from './table.ts';
import { printable } from './value-text.ts';

export function receiptText(receipt: ReceiptFacts, style: TableStyle): string {
  return [
    `The receipt holds. ${claimText(receipt)}\n`,
    ...historyText(receipt),
    ...receipt.commands.map((command) => commandText(command, style)),
    ...stateText(receipt),
    checkpointText(receipt),
  ].join('\n');
}

function claimText({ kind, tenant, origin, commands, leavesBetween }: ReceiptFacts): string {
  const name = tenant.name === undefined ? `number ${tenant.id}` : `"${printable(tenant.name)}"`;
  const where = `of tenant ${name} in the log ${printable(origin)}`;
  if (kind === 'row') return `It is the history of a row ${where}.`;
  if (kind === 'state') return `It is the state ${where} for some keys.`;
  if (kind === 'position')
    return `It is all that was recorded at position ${commands[0]?.position ?? 0} ${where}.`;
  const between =
    leavesBetween === 0
      ? 'Nothing is left out between them.'
      : `Between them are ${leavesBetween} events that are not shown: of others, or left out.`;
  return `It is all that was recorded at ${commands.length} positions ${where}. ${between}`;
}

function historyText({ history }: ReceiptFacts): string[] {
  if (history === undefined) return [];
  const { table, key, changes, position, endProved } = history;
  const whole = `Table ${printable(table)}, ${keyText(key)}: ${changes} changes, all that there were up to position ${position}.\n`;
  if (endProved) return [whole];
  return [
    `${whole}The row is deleted. That nothing was written and deleted again behind the last change is not proved.\n`,
  ];
}

function stateText({ kind, state = [] }: ReceiptFacts): string[] {
  if (kind !== 'state') return [];
  return state.map(({ table, object, key, position, row }) => {
    const what = row === undefined ? 'there is no such row' : 'the row is as above';
    return `Table ${printable(table)} (number ${object}), ${keyText(key)}: ${what} at position ${position}.\n`;
  });
}

function commandText(command: CommandFacts, style: TableStyle): string {
  const { position, time, actor, reason, statement, events } = command;
  const who = [
    time,
    actor === undefined ? undefined : `by ${actor}`,
    reason === undefined ? undefined : `reason: ${reason}`,
    statement === undefined ? undefined : `statement: ${statement}`,
  ].filter((part) => part !== undefined);
  const head = `Position ${position}${who.length === 0 ? '' : `: ${printable(who.join(', '))}`}`;
  return `${head}\n${events.map((event) => eventText(event, style)).join('')}`;
}

const verbs = { insert: 'inserted into', update: 'updated in', delete: 'deleted from' } as const;

function eventText(event: EventFacts, style: TableStyle): string {
  if ('object' in event) return rowText(event, style);
  const { change, event: type, name = '', version, data } = event;
  if (change === 'append')
    return `appended version ${version ?? 0} to stream ${printable(name)}: ${printable(data ?? '')}\n`;
  return change === 'define' ? `defined ${printable(name)}\n` : `an event of type ${type}\n`;
}

function rowText(
  { change, table, key, before, after, withheld }: RowFacts,
  style: TableStyle,
): string {
  const names = [
    ...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {}), ...withheld]),
  ];
  const head = `${verbs[change]} ${printable(table)}${key === undefined ? '' : `: ${keyText(key)}`}\n`;
  if (names.length === 0) return head;
  const cells = names.map((name) => [
    printable(name),
    ...(before === undefined ? [] : [cell(before, name)]),
    ...(after === undefined ? [] : [withheld.includes(name) ? '(withheld)' : cell(after, name)]),
  ]);
  const columns = [
    'column',
    ...(before === undefined ? [] : ['before']),
    ...(after === undefined ? [] : ['after']),
  ];
  return `${head}${renderTable({ head: columns, cells, style })}`;
}

function cell(row: ShownRow, name: string): string {
  return Object.hasOwn(row, name) ? printable(shown(row[name] as ShownValue)) : '';
}

function shown(value: ShownValue): string {
  if (value === null) return 'NULL';
  if (typeof value !== 'object') return String(value);
  return `${value.lengthBytes} bytes with SHA-256 ${value.sha256}`;
}

function keyText(key: ShownRow): string {
  return printable(
    Object.entries(key)
      .map(([name, value]) => `${name} = ${shown(value)}`)
      .join(', '),
  );
}

function checkpointText({ checkpoint }: ReceiptFacts): string {
  const { size, root, time, position, stateHash, statePosition } = checkpoint;
  const lines = [
    `Checkpoint of ${size} events up to position ${position}, taken ${time}`,
    `  root         ${root}`,
    ...(stateHash === undefined ? [] : [`  state        ${stateHash} at ${statePosition ?? 0}`]),
    ...checkpoint.signedBy.map((key) => `  signed by    ${printable(key)}`),
    ...checkpoint.handOvers.map(({ to }) => `  handed over  to ${printable(to)}`),
    ...checkpoint.cosignatures.map(
      ({ witness, time: at }) => `  witnessed by ${printable(witness)} at ${at}`,
    ),
    ...checkpoint.timeStamps.map(
      ({ authority, time: at }) => `  time stamp   ${printable(authority)} at ${at}`,
    ),
    ...(checkpoint.timeStampsUnchecked === 0
      ? []
      : [`  time stamps  ${checkpoint.timeStampsUnchecked} not checked; give --tsa-ca`]),
  ];
  return `${lines.join('\n')}\n`;
}
