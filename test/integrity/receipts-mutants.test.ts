/**
 * Mutated receipts: every byte of one of each kind, and 100,000 made by changing what a receipt holds. None is accepted that says
 * anything else, none makes the check crash, and each refusal names its check.
 *
 * SHA-256 and Ed25519 are Node's here (src/crypto), passed in as any caller may, and each signature is checked once: the same
 * checks, many times as many a second.
 */
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { Prng } from '../../src/base/index.ts';
import { ed25519Verify, sha256 } from '../../src/crypto/index.ts';
import {
  type CommandFacts,
  formatReceipt,
  type HistoryFacts,
  proofOfOpened,
  type Receipt,
  type ReceiptFacts,
  receiptChecks,
  type ReceiptEvent,
  type ReceiptResult,
  type StateRowFacts,
  verifyReceipt,
  type VerifyOptions,
} from '../../src/receipt/index.ts';
import type { VerifyEd25519 } from '../../src/proof/index.ts';
import { type MakeReceipt, Signer } from '../support/receipt-log.ts';
import { clinicWorld } from '../support/receipt-world.ts';

const mutantsWanted = 100_000;
const world = clinicWorld();
const foreign = clinicWorld({ salt: 'foreign' });
const { leaf } = world;
const first = world.signer;
const second = new Signer('clinic.example', 21);
const witness = new Signer('witness.example', 22, 4);
const stamp = Uint8Array.of(48, 130, 1);
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
/** Most mutants have the good signatures still: each of those is checked once. */
const verdicts = new Map<string, boolean>();
const verifyEd25519: VerifyEd25519 = (publicKey, message, signature) => {
  const name = [publicKey, signature, message].map((bytes) => latin1(bytes)).join('');
  const known = verdicts.get(name);
  if (known !== undefined) return known;
  const verdict = ed25519Verify(publicKey, message, signature);
  verdicts.set(name, verdict);
  return verdict;
};
const options: VerifyOptions = {
  keys: [first.text],
  witnesses: [witness.text],
  crypto: { sha256, verifyEd25519 },
  verifyTimeStamp: (token) =>
    token.length === stamp.length && token.every((byte, index) => byte === stamp[index])
      ? { time: '2026-11-23T00:00:00.000Z', authority: 'CN=tsa' }
      : undefined,
};

const shapes: readonly Partial<MakeReceipt>[] = [
  { kind: 'position', events: [leaf.anna, leaf.ben, leaf.cleo] },
  { kind: 'range', events: [leaf.anna, leaf.ben, leaf.cleo, leaf.annaAgain, leaf.benGone] },
  { kind: 'row', events: [leaf.anna, leaf.annaAgain], state: [world.prove(1)] },
  { kind: 'state', events: [leaf.annaAgain], state: [world.prove(1), world.prove(77)] },
];

/** Everything in these is checked: the key that signs was handed over, a witness has cosigned, a time stamp is there. */
const receipts = shapes.map((shape) =>
  world.log.receipt({
    kind: 'position',
    events: [],
    context: [leaf.created, leaf.defined],
    signers: [second, witness],
    handOvers: [first.handTo(second)],
    timeStamps: [stamp],
    ...shape,
  }),
);
const texts = receipts.map(formatReceipt);
const strangers = [
  ...receipts,
  ...shapes.map((shape) =>
    foreign.log.receipt({
      kind: 'position',
      events: [],
      context: [leaf.created, leaf.defined],
      signers: [foreign.signer],
      ...shape,
    }),
  ),
];

const refusals = new Map<string, number>();

let mutants = 0;

function resultOf(text: string): ReceiptResult {
  mutants += 1;
  const result = verifyReceipt(text, options);
  if (result.ok) return result;
  const { check, message } = result;
  // The second: the answer to what nobody foresaw. Nothing may lead there.
  if (!receiptChecks.includes(check) || message.includes('cannot be read: '))
    throw new Error(`${check}: ${message}`);
  refusals.set(check, (refusals.get(check) ?? 0) + 1);
  return result;
}

const [truth] = [
  ...texts,
  formatReceipt(
    world.log.receipt({
      kind: 'range',
      events: [leaf.defined, leaf.anna, leaf.ben, leaf.cleo, leaf.annaAgain, leaf.benGone],
      signers: [first, witness],
    }),
  ),
]
  .map((text) => {
    const result = resultOf(text);
    if (!result.ok) throw new Error(`${result.check}: ${result.message}`);
    return result.receipt;
  })
  .slice(-1) as [ReceiptFacts];
/** Everything there is to say of each position, and each leaf. */
const trueCommands = new Map(truth.commands.map((command) => [command.position, command]));
const trueEvents = new Map(
  truth.commands.flatMap(({ events }) => events).map((event) => [event.leaf, event]),
);
const trueHistories = new Map([
  [1, { changes: 2, endProved: true }],
  [2, { changes: 2, endProved: false }],
  [3, { changes: 1, endProved: true }],
]);

/** Whether it says nothing but what is so, be it less than there is to say, or another claim that is as true. */
function isTrue({ kind, origin, tenant, history, state = [], commands }: ReceiptFacts): boolean {
  return (
    origin === 'clinic.example' &&
    tenant.id === 1 &&
    (tenant.name ?? 'clinic') === 'clinic' &&
    commands.every((command) => isTrueCommand(command, kind === 'position' || kind === 'range')) &&
    (kind !== 'position' || commands.length === 1) &&
    state.every(isTrueRow) &&
    (history === undefined || isTrueHistory(history, commands))
  );
}

function isTrueCommand(command: CommandFacts, isWhole: boolean): boolean {
  const known = trueCommands.get(command.position);
  if (known === undefined) return false;
  const { events, ...metadata } = command;
  const { events: trueOnes, ...whole } = known;
  // The first event of the command may not be there: then nothing is said of it.
  const isNamed = command.eventCount !== undefined;
  return (
    isDeepStrictEqual(metadata, isNamed ? whole : { position: command.position }) &&
    (!isWhole || (isNamed && events.length === trueOnes.length)) &&
    events.every((event) => {
      const all = trueEvents.get(event.leaf);
      if (all === undefined || !('object' in all)) return isDeepStrictEqual(event, all);
      const { before: _, ...withoutBefore } = all;
      return isDeepStrictEqual(event, all) || isDeepStrictEqual(event, withoutBefore);
    })
  );
}

function isTrueHistory(
  { key, changes, endProved }: HistoryFacts,
  commands: readonly CommandFacts[],
): boolean {
  const events = commands.flatMap((command) => command.events);
  const known = trueHistories.get(Number(key['id']));
  return events.length === changes && isDeepStrictEqual(known, { changes, endProved });
}

function isTrueRow({ table, key, row }: StateRowFacts): boolean {
  const names = new Map([
    [1, 'Anna Maria'],
    [3, 'Cleo'],
  ]);
  // A proof of absence shows it for every key whose path leads to the same place.
  return table === 'patients' && row?.['name'] === names.get(Number(key['id']));
}

test.each(['position', 'range', 'row', 'state'])(
  'no byte of a receipt of kind %s can be another, missing, doubled or the last',
  (kind) => {
    const text = texts[receipts.findIndex((receipt) => receipt.kind === kind)] as string;
    const refuse = (changed: string): void => {
      const result = resultOf(changed);
      if (!result.ok || (kind === 'state' && isTrue(result.receipt))) return;
      throw new Error(`accepted: ${changed}`);
    };
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      for (const other of [code ^ 1, code === 0x41 ? 0x42 : 0x41])
        refuse(text.slice(0, at) + String.fromCharCode(other) + text.slice(at + 1));
      if (at % 2 !== 0) continue;
      refuse(text.slice(0, at) + text.slice(at + 1));
      refuse(text.slice(0, at + 1) + text.slice(at));
      refuse(text.slice(0, at));
    }
    for (const more of [' ', '\n', '\0', '}', text]) {
      expect(resultOf(text + more)).toMatchObject({ ok: false, check: 'format' });
      expect(resultOf(more + text)).toMatchObject({ ok: false, check: 'format' });
    }
  },
);

const dice = new Prng(20261123);
const pick = <T>(from: readonly T[]): T => from[dice.below(from.length)] as T;

/** Some bytes, changed: one bit, all of one byte, shorter, longer, empty. */
function otherBytes(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  switch (dice.below(6)) {
    case 0:
      return copy.subarray(0, Math.max(0, copy.length - 1));
    case 1:
      return Uint8Array.of(...copy, dice.below(256));
    case 2:
      return new Uint8Array(copy.length);
    default: {
      if (copy.length === 0) return Uint8Array.of(0);
      const at = dice.below(copy.length);
      copy[at] = (copy[at] as number) ^ (1 << dice.below(8));
      return copy;
    }
  }
}

function otherList<T>(list: readonly T[], others: readonly T[], other: (item: T) => T): T[] {
  const at = dice.below(list.length + 1);
  const item = list[at];
  switch (dice.below(6)) {
    case 0:
      return list.toSpliced(at, 1);
    case 1:
      return item === undefined ? [...list] : list.toSpliced(at, 0, item);
    case 2:
      return list.toReversed();
    case 3:
      return others.length === 0 ? [...list] : list.toSpliced(at, dice.below(2), pick(others));
    default:
      return item === undefined ? list.slice(1) : list.with(at, other(item));
  }
}

function otherEvent(event: ReceiptEvent): ReceiptEvent {
  if ('fields' in event) return event;
  const { leaf: at, salt, event: bytes } = event;
  switch (dice.below(4)) {
    case 0:
      return { ...event, leaf: pick([at + 1, Math.max(0, at - 1), dice.below(12)]) };
    case 1:
      return { ...event, salt: dice.below(2) === 0 ? new Uint8Array(16) : flipped(salt) };
    case 2:
      return { leaf: at, fields: [{ bytes, salt }] };
    default:
      return { ...event, event: otherBytes(bytes) };
  }
}

/** One bit, so that the length stays. */
function flipped(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const at = dice.below(copy.length);
  copy[at] = (copy[at] as number) ^ (1 << dice.below(8));
  return copy;
}

function otherNote(note: string): string {
  const [text = '', lines = ''] = note.split('\n\n');
  const signatures = lines.split('\n').slice(0, -1);
  const [origin = '', size = '', root = ''] = text.split('\n');
  switch (dice.below(8)) {
    case 0:
      return `${origin}\n${dice.below(12)}\n${root}\n\n${lines}`;
    case 1:
      return `${pick(['clinic.example ', 'Clinic.example', 'other.example', ''])}\n${size}\n${root}\n\n${lines}`;
    case 2:
      return `${origin}\n${pick([`0${size}`, `+${size}`, '9007199254740993'])}\n${root}\n\n${lines}`;
    case 3:
      return `${text}\n\n${lines}${pick(signatures)}\n`;
    case 4:
      return `${text}\n\n\n${lines}`;
    case 5:
      return `${text}\n\n${signatures.slice(1).join('\n')}\n`;
    case 6:
      return note.replace('—', '-');
    default:
      return `${text}\nmore\n\n${lines}`;
  }
}

const mutations: readonly ((receipt: Receipt, other: Receipt) => Receipt)[] = [
  (receipt, { events }) => ({ ...receipt, events: otherList(receipt.events, events, otherEvent) }),
  (receipt, { context }) => ({
    ...receipt,
    context: otherList(receipt.context, context, otherEvent),
  }),
  (receipt, { events }) => ({
    ...receipt,
    context: otherList(receipt.context, events, otherEvent),
  }),
  (receipt, { proof }) => ({ ...receipt, proof: otherList(receipt.proof, proof, flipped) }),
  (receipt, { checkpoint }) => ({ ...receipt, checkpoint }),
  (receipt) => withCheckpoint(receipt, { timeStamps: otherList([stamp], [], otherBytes) }),
  (receipt, { checkpoint: { note } }) => withCheckpoint(receipt, { note }),
  (receipt, { checkpoint: { record } }) => withCheckpoint(receipt, { record }),
  (receipt) => withCheckpoint(receipt, { note: otherNote(receipt.checkpoint.note) }),
  (receipt) =>
    withCheckpoint(receipt, {
      record: otherEvent(receipt.checkpoint.record) as Receipt['checkpoint']['record'],
    }),
  (receipt) => {
    const { handOvers } = receipt.checkpoint;
    const changed = otherList(handOvers, [second.handTo(first)], (each) => ({
      ...each,
      signature: flipped(each.signature),
    }));
    return withCheckpoint(receipt, { handOvers: changed });
  },
  (receipt) => ({ ...receipt, kind: pick(['position', 'range', 'row', 'state']) }),
  (receipt, { state }) => {
    const changed = otherList(receipt.state ?? [], state ?? [], otherState);
    return { ...receipt, state: changed };
  },
];

function withCheckpoint(receipt: Receipt, changed: Partial<Receipt['checkpoint']>): Receipt {
  return { ...receipt, checkpoint: { ...receipt.checkpoint, ...changed } };
}

type StateProof = NonNullable<Receipt['state']>[number];

function otherState(proof: StateProof): StateProof {
  const { rows } = proof;
  switch (dice.below(5)) {
    case 0:
      return { ...proof, key: otherBytes(proof.key) };
    case 1:
      return { ...proof, table: proof.table + 1 };
    case 2:
      return { ...proof, tenant: proof.tenant + 1 };
    case 3:
      return { tenant: proof.tenant, table: proof.table, key: proof.key, tables: proof.tables };
    default:
      return rows === undefined ? proof : { ...proof, rows: { ...rows, salt: flipped(rows.salt) } };
  }
}

/** The text itself: characters and slices of it, which keeps base64 base64. */
function otherText(text: string): string {
  const from = dice.below(text.length);
  const to = Math.min(text.length, from + 1 + dice.below(60));
  const slice = text.slice(from, to);
  const place = dice.below(text.length);
  switch (dice.below(4)) {
    case 0:
      return text.slice(0, from) + text.slice(to);
    case 1:
      return text.slice(0, place) + slice + text.slice(place);
    case 2:
      return text.slice(0, place) + slice + text.slice(place + slice.length);
    default:
      return text.slice(0, from) + [...slice].toReversed().join('') + text.slice(to);
  }
}

const claimable = [leaf.defined, leaf.anna, leaf.ben, leaf.cleo, leaf.annaAgain, leaf.benGone];
const stateProofs = [1, 2, 3, 77].map((id) => world.prove(id));
const some = <T>(from: readonly T[], oneIn: number): T[] =>
  from.filter(() => dice.below(oneIn) === 0);

/** What a server that signs anything can make of true events: any of them, as anything. Tree and signatures are right. */
function otherClaim(): Receipt {
  const kind = pick(['position', 'range', 'row', 'state'] as const);
  const events = some([...claimable, leaf.stranger], 3);
  const context = some([leaf.created, ...claimable], 2).filter((each) => !events.includes(each));
  if (dice.below(3) > 0 && !events.includes(leaf.defined)) context.push(leaf.defined);
  const shownLeaves = [...new Set(context)].toSorted((left, right) => left - right);
  const leaves = [...events, ...shownLeaves, leaf.record].toSorted((left, right) => left - right);
  const { log } = world;
  return {
    kind,
    checkpoint: (receipts[0] as Receipt).checkpoint,
    events: events.toSorted((left, right) => left - right).map((each) => log.open(each)),
    context: shownLeaves.map((each) => log.open(each)),
    proof: proofOfOpened(log.size, leaves, (each) => log.inclusionProof(each)),
    ...((kind === 'row' || kind === 'state') && { state: some(stateProofs, 2) }),
  };
}

test(`of ${mutantsWanted} changed receipts, those with another byte too, none is accepted that claims anything else`, () => {
  let same = 0;
  while (mutants < mutantsWanted) {
    const number = dice.below(receipts.length);
    const isClaim = dice.below(3) === 0;
    let receipt = isClaim ? otherClaim() : (receipts[number] as Receipt);
    for (let left = isClaim ? 0 : 1 + dice.below(2); left > 0; left--)
      receipt = pick(mutations)(receipt, pick(strangers));
    const { kind, state, ...rest } = receipt;
    const isOfForm = (kind === 'row' || kind === 'state') === (state !== undefined);
    const made = formatReceipt(isOfForm ? receipt : { kind, ...rest });
    const text = !isClaim && dice.below(4) === 0 ? otherText(made) : made;
    if (texts.includes(text)) continue;
    const result = resultOf(text);
    if (!result.ok) continue;
    same += 1;
    if (!isTrue(result.receipt)) throw new Error(`accepted: ${text}`);
  }
  expect(same).toBeGreaterThan(100);
  expect(same).toBeLessThan(mutantsWanted / 5);
  // Mutants that fail one check only test no other.
  const rare = receiptChecks.filter((name) => (refusals.get(name) ?? 0) < 100);
  expect(rare).toEqual(['options', 'record', 'event', 'row']);
});
