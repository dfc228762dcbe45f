/** Receipts of a server that lies: each lie is refused, and by the check that is there for it. */
import { describe, expect, test } from 'vitest';
import type { LeafIndex, Position } from '../../src/base/index.ts';
import {
  formatReceipt,
  type Receipt,
  type ReceiptCheck,
  type ReceiptEvent,
  verifyReceipt,
  type VerifyOptions,
} from '../../src/receipt/index.ts';
import { parseNote, signatureLine, toBase64 } from '../../src/proof/index.ts';
import { bytesOf, type MakeReceipt, ReceiptLog, Signer } from '../support/receipt-log.ts';
import {
  clinicWorld,
  command,
  definition,
  other,
  record,
  rowEvent,
  type World,
} from '../support/receipt-world.ts';

const world = clinicWorld();
const { signer, leaf, prove } = world;
const keys = [signer.text];

function make(parts: Partial<MakeReceipt>, of: World = world): Receipt {
  const { log } = of;
  return log.receipt({
    kind: 'position',
    events: [leaf.anna, leaf.ben, leaf.cleo],
    context: [leaf.defined],
    signers: [of.signer],
    ...parts,
  });
}

/** The check that refuses it, or 'holds'. */
function verdict(
  receipt: Receipt | string,
  options: Partial<VerifyOptions> = {},
): ReceiptCheck | 'holds' {
  const text = typeof receipt === 'string' ? receipt : formatReceipt(receipt);
  const result = verifyReceipt(text, { keys, ...options });
  return result.ok ? 'holds' : result.check;
}

const range = { kind: 'range', events: [leaf.anna, leaf.ben, leaf.cleo, leaf.annaAgain] } as const;
const history = {
  kind: 'row',
  events: [leaf.anna, leaf.annaAgain],
  state: [prove(1)],
} as const;
const state = { kind: 'state', events: [leaf.annaAgain], state: [prove(1), prove(77)] } as const;

test('the receipts that the lies are made from hold', () => {
  for (const parts of [{}, range, history, state]) expect(verdict(make(parts))).toBe('holds');
});

describe('another log', () => {
  test('a fork signed with the same key holds alone: only a witness who saw the first one tells them apart', () => {
    const fork = clinicWorld({ salt: 'fork' });
    const witness = new Signer('witness.example', 4, 4);
    expect(verdict(make({}, fork))).toBe('holds');
    const witnesses = [witness.text];
    expect(verdict(make({}, fork), { witnesses })).toBe('witnesses');
    const seen = make({ signers: [signer, witness] });
    expect(verdict(seen, { witnesses })).toBe('holds');
    // The fork with the cosignature of the first.
    const lines = parseNote(seen.checkpoint.note).signatures.map(signatureLine);
    const forked = make({}, fork);
    const note = `${forked.checkpoint.note}${lines[1]}`;
    expect(verdict({ ...forked, checkpoint: { ...forked.checkpoint, note } }, { witnesses })).toBe(
      'witnesses',
    );
  });

  test('another identity, with its own key, is refused, and so is one that calls itself the same', () => {
    const stranger = clinicWorld({ origin: 'other.example', secret: 2 });
    expect(verdict(make({}, stranger))).toBe('origin');
    const impostor = clinicWorld({ secret: 2 });
    expect(verdict(make({}, impostor))).toBe('signature');
    expect(verdict(make({ origin: 'other.example' }))).toBe('origin');
    expect(verdict(make({ origin: 'other.example' }), { origin: 'other.example' })).toBe(
      'signature',
    );
    expect(verdict(make({}), { origin: 'other.example' })).toBe('origin');
  });

  test('a proof of another log under this one’s checkpoint is refused', () => {
    const stranger = clinicWorld({ salt: 'stranger' });
    const theirs = make({}, stranger);
    const ours = make({});
    expect(verdict({ ...theirs, checkpoint: ours.checkpoint })).toBe('inclusion');
    expect(verdict({ ...ours, proof: theirs.proof })).toBe('inclusion');
    expect(verdict({ ...ours, events: theirs.events })).toBe('inclusion');
  });

  test('a state proof of another log is refused', () => {
    const stranger = clinicWorld({ salt: 'stranger' });
    expect(verdict(make({ ...history, state: [stranger.prove(1)] }))).toBe('state');
  });
});

describe('another time', () => {
  test('a note of another size, or an older one, does not fit what is shown', () => {
    const older = make({ size: leaf.stranger + 1, context: [leaf.defined] });
    // The last leaf under it is no checkpoint record.
    expect(verdict(older)).toBe('record');
    const { note } = older.checkpoint;
    const ours = make({});
    expect(verdict({ ...ours, checkpoint: { ...ours.checkpoint, note } })).toBe('leaves');
  });

  test('an event behind the checkpoint cannot be claimed under it', () => {
    const { log } = clinicWorld();
    const later = log.add(rowEvent({ position: 8, id: 5, name: 'Dora', command: command(1) }));
    const stale = make({ events: [later], size: log.size }, { ...world, log });
    expect(verdict(stale)).toBe('leaves');
  });

  test('a history that ends early is refused by the state of the row', () => {
    expect(verdict(make({ ...history, events: [leaf.anna] }))).toBe('state');
    expect(verdict(make({ kind: 'row', events: [leaf.ben], state: [prove(2)] }))).toBe('state');
    // Deleted, says the history; there, says the state.
    expect(
      verdict(make({ kind: 'row', events: [leaf.ben, leaf.benGone], state: [prove(1)] })),
    ).toBe('state');
  });

  test('a stale row is refused', () => {
    expect(verdict(make({ ...state, events: [leaf.anna] }))).toBe('state');
    expect(verdict(make({ ...state, events: [] }))).toBe('state');
    expect(verdict(make({ ...state, events: [leaf.cleo, leaf.annaAgain] }))).toBe('state');
    expect(verdict(make({ ...state, state: [prove(1), prove(1)] }))).toBe('state');
    expect(verdict(make({ ...state, state: [] }))).toBe('state');
  });
});

describe('left out', () => {
  test('an event of a position', () => {
    for (const events of [
      [leaf.anna, leaf.ben],
      [leaf.anna, leaf.cleo],
      [leaf.ben, leaf.cleo],
    ])
      expect(verdict(make({ events }))).toBe('position');
    expect(verdict(make({ events: [] }))).toBe('tenant');
  });

  test('an event of a history, at its beginning or in between', () => {
    expect(verdict(make({ ...history, events: [leaf.annaAgain] }))).toBe('history');
    const { log } = clinicWorld();
    const middle = log.add(
      rowEvent({ position: 8, id: 1, name: 'A.', previous: leaf.annaAgain, command: command(1) }),
    );
    const last = log.add(
      rowEvent({ position: 9, id: 1, name: 'B.', previous: middle, command: command(1) }),
    );
    log.add(record(10, log, { state: new Uint8Array(32) }));
    const gap = { ...history, events: [leaf.anna, leaf.annaAgain, last] };
    expect(verdict(make(gap, { ...world, log }))).toBe('history');
  });

  test('the definition of a table', () => {
    expect(verdict(make({ context: [] }))).toBe('definition');
    expect(verdict(make({ ...state, events: [], state: [prove(77)], context: [] }))).toBe(
      'definition',
    );
  });

  test('a hash of the proof, an event’s proof, the record', () => {
    const receipt = make({});
    receipt.proof.forEach((hash, index) => {
      const proof = receipt.proof.toSpliced(index, 1);
      expect(verdict({ ...receipt, proof })).toBe('inclusion');
      expect(verdict({ ...receipt, proof: [...receipt.proof, hash] })).toBe('inclusion');
    });
  });
});

describe('in another order or place', () => {
  test('events, context and the parts of a history', () => {
    const receipt = make({ context: [leaf.created, leaf.defined] });
    expect(verdict({ ...receipt, events: receipt.events.toReversed() })).toBe('leaves');
    expect(verdict({ ...receipt, context: receipt.context.toReversed() })).toBe('leaves');
    expect(verdict({ ...receipt, events: [...receipt.events, ...receipt.events.slice(2)] })).toBe(
      'leaves',
    );
    const [first] = receipt.events as [ReceiptEvent];
    expect(verdict({ ...receipt, context: [...receipt.context, first] })).toBe('leaves');
  });

  test('an event at another leaf, also at that of another one', () => {
    const receipt = make({});
    const moved = (to: number): Receipt => ({
      ...receipt,
      events: receipt.events.map((event, index) => (index === 2 ? { ...event, leaf: to } : event)),
    });
    expect(verdict(moved(leaf.cleo))).toBe('holds');
    expect(verdict(moved(leaf.stranger))).toBe('inclusion');
    expect(verdict(moved(leaf.record))).toBe('leaves');
    expect(verdict(moved(99))).toBe('leaves');
    const swapped = receipt.events.map((event, index) => ({
      ...receipt.events[2 - index]!,
      leaf: event.leaf,
    }));
    expect(verdict({ ...receipt, events: swapped })).toBe('inclusion');
  });

  test('another position, tenant, table, key or row, and another salt', () => {
    const receipt = make({});
    const [anna] = receipt.events as [Extract<ReceiptEvent, { event: Uint8Array }>];
    const honest = rowEvent({
      position: 3,
      id: 1,
      name: 'Anna',
      weight: '61.5',
      command: command(3, {
        reason: 'import',
        statement: 'INSERT INTO patients VALUES ($1, $2)',
      }),
    });
    const withEvent = (event: typeof honest): Receipt => ({
      ...receipt,
      events: [{ ...anna, event: bytesOf(event) }, ...receipt.events.slice(1)],
    });
    expect(verdict(withEvent(honest))).toBe('holds');
    for (const lie of [
      { position: 4 as Position },
      { tenant: other },
      { object: 17 as typeof honest.object },
      { key: rowEvent({ position: 3, id: 4, name: 'Anna' }).key },
      { row: rowEvent({ position: 3, id: 1, name: 'Hanna' }).row as Uint8Array },
      { previousLeaf: 1 as LeafIndex },
      { command: command(3, { actor: 'dr. smith' }) },
    ])
      expect(verdict(withEvent({ ...honest, ...lie }))).toBe('inclusion');
    const salt = anna.salt.map((byte, index) => (index === 0 ? byte ^ 1 : byte));
    expect(verdict({ ...receipt, events: [{ ...anna, salt }, ...receipt.events.slice(1)] })).toBe(
      'inclusion',
    );
  });

  test('a kind that the events are not of', () => {
    expect(verdict({ ...make(range), kind: 'position' })).toBe('position');
    expect(verdict(make({ kind: 'row', events: range.events, state: [prove(1)] }))).toBe('history');
    // Without its state a history is not of the form.
    const { state: _, ...stripped } = make(history);
    expect(verdict(stripped)).toBe('format');
    expect(verdict({ ...make({}), state: [prove(1)] })).toBe('format');
  });

  test('events of another tenant', () => {
    expect(verdict(make({ events: [leaf.stranger], context: [] }))).toBe('definition');
    expect(verdict(make({ events: [leaf.stranger] }))).toBe('tenant');
    expect(verdict(make({ context: [leaf.defined, leaf.stranger] }))).toBe('tenant');
    const mixed = [leaf.anna, leaf.ben, leaf.cleo, leaf.stranger, leaf.annaAgain];
    expect(verdict(make({ ...range, events: mixed }))).toBe('tenant');
  });

  test('events that explain nothing', () => {
    expect(verdict(make({ context: [leaf.defined, leaf.annaAgain] }))).toBe('context');
  });
});

describe('signatures', () => {
  const receipt = make({});
  const { note } = receipt.checkpoint;
  const withNote = (changed: string): Receipt => ({
    ...receipt,
    checkpoint: { ...receipt.checkpoint, note: changed },
  });
  const [text = '', line = ''] = note.split('\n\n');

  test('a line twice, another empty line, no line, a line of an unknown key', () => {
    expect(verdict(withNote(`${note}${line}`))).toBe('note');
    expect(verdict(withNote(`${text}\n\n\n${line}`))).toBe('note');
    expect(verdict(withNote(`${text}\n\n${line}\n\n${line}`))).toBe('note');
    expect(verdict(withNote(`${text}\n\n`))).toBe('note');
    expect(verdict(withNote(`${text}\n${line}`))).toBe('note');
    const stranger = new Signer('clinic.example', 3);
    const unknown = signatureLine(stranger.over(`${text}\n`));
    expect(verdict(withNote(`${note}${unknown}`))).toBe('holds');
    expect(verdict(withNote(`${text}\n\n${unknown}`))).toBe('signature');
  });

  test('a text before the checkpoint’s, and a fourth line in it', () => {
    expect(verdict(withNote(`other.example\n${note}`))).toBe('note');
    const more = `${text}\nextension\n`;
    expect(verdict(withNote(`${more}\n${signatureLine(signer.over(more))}`))).toBe('note');
  });

  test('a wrong signature of a known key is refused though another one is right', () => {
    const second = new Signer('clinic.example', 5);
    const both = make({ signers: [signer, second] });
    expect(verdict(both, { keys: [signer.text, second.text] })).toBe('holds');
    const wrong = second.over('something else\n');
    const mixed = withNote(`${note}${signatureLine(wrong)}`);
    expect(verdict(mixed)).toBe('holds');
    expect(verdict(mixed, { keys: [signer.text, second.text] })).toBe('signature');
  });

  test('keys of small order are refused before anything is looked at', () => {
    const [name, , key = ''] = signer.text.split('+');
    expect(key).not.toBe('');
    for (const point of [1, 0]) {
      const bytes = new Uint8Array(33);
      bytes[0] = 1;
      bytes[1] = point;
      const vkey = `${name}+00000000+${toBase64(bytes)}`;
      expect(verdict(receipt, { keys: [vkey] })).toBe('options');
    }
  });
});

describe('hand-overs', () => {
  const next = new Signer('clinic.example', 6);
  const third = new Signer('clinic.example', 7);

  test('the old key is enough where each key handed over to the next', () => {
    const handed = make({
      signers: [third],
      handOvers: [signer.handTo(next), next.handTo(third)],
    });
    expect(verdict(handed)).toBe('holds');
    expect(verdict(handed, { keys: [next.text] })).toBe('holds');
    expect(verdict(handed, { keys: [third.text] })).toBe('holds');
  });

  test('a hand-over that is missing, out of order, of a stranger or to another name leads nowhere', () => {
    const first = signer.handTo(next);
    const second = next.handTo(third);
    const thief = new Signer('clinic.example', 8);
    const elsewhere = new Signer('other.example', 9);
    const by = (
      ...handOvers: Receipt['checkpoint']['handOvers'][number][]
    ): ReturnType<typeof verdict> => verdict(make({ signers: [third], handOvers }));
    expect(by(first)).toBe('signature');
    expect(by(second)).toBe('signature');
    expect(by(second, first)).toBe('signature');
    expect(by(thief.handTo(third))).toBe('signature');
    expect(by(first, { ...second, signature: first.signature })).toBe('handOver');
    expect(by({ ...first, to: third.text })).toBe('handOver');
    expect(by(signer.handTo(elsewhere))).toBe('handOver');
    expect(by({ ...first, to: 'x' })).toBe('handOver');
  });
});

describe('witnesses', () => {
  const witnesses = [new Signer('a.example', 11, 4), new Signer('b.example', 12, 4)];
  const texts = witnesses.map(({ text }) => text);

  test('the quorum must have cosigned', () => {
    const one = make({ signers: [signer, witnesses[0]!] });
    expect(verdict(one, { witnesses: texts })).toBe('witnesses');
    expect(verdict(one, { witnesses: texts, quorum: 1 })).toBe('holds');
    const both = make({ signers: [signer, ...witnesses] });
    expect(verdict(both, { witnesses: texts })).toBe('holds');
    expect(verdict(make({ signers: [witnesses[0]!], origin: 'clinic.example' }))).toBe('signature');
  });

  test('one witness under two names is none; one of a log’s kind neither', () => {
    const again = new Signer('c.example', 11, 4);
    expect(verdict(make({}), { witnesses: [texts[0]!, again.text] })).toBe('options');
    expect(verdict(make({}), { witnesses: [signer.text] })).toBe('options');
    expect(verdict(make({}), { keys: [texts[0]!] })).toBe('options');
    expect(verdict(make({}), { witnesses: texts, quorum: 3 })).toBe('options');
  });
});

test('a time stamp that is not right is refused where somebody checks them', () => {
  const stamped = make({ timeStamps: [Uint8Array.of(1), Uint8Array.of(2)] });
  expect(verdict(stamped)).toBe('holds');
  const at = { time: '2026-11-23T00:00:00.000Z', authority: 'CN=tsa' };
  const { text } = parseNote(stamped.checkpoint.note);
  const verifyTimeStamp: VerifyOptions['verifyTimeStamp'] = (token, message) =>
    new TextDecoder().decode(message) === text && token[0] !== 2 ? at : undefined;
  expect(verdict(stamped, { verifyTimeStamp })).toBe('timeStamp');
  const good = make({ timeStamps: [Uint8Array.of(1)] });
  expect(verdict(good, { verifyTimeStamp })).toBe('holds');
  expect(
    verdict(good, {
      verifyTimeStamp: () => {
        throw new Error('no');
      },
    }),
  ).toBe('timeStamp');
});

describe('records and events that a signer makes up', () => {
  /** A log of one inserted row whose last leaf is what `last` makes. */
  function withLast(last: (log: ReceiptLog) => void): Receipt {
    const log = new ReceiptLog();
    const defined = log.add(definition(1));
    const row = log.add(rowEvent({ position: 2, id: 1, name: 'Anna', command: command(1) }));
    last(log);
    return log.receipt({ kind: 'position', events: [row], context: [defined], signers: [signer] });
  }

  test('a record that is none, of a tenant, of a part of a command, or of a later time', () => {
    expect(verdict(withLast((log) => log.add(record(3, log))))).toBe('holds');
    expect(verdict(withLast((log) => log.add(definition(3))))).toBe('record');
    for (const lie of [
      { tenant: other },
      { command: command(2) },
      { size: 3 },
      { covered: 4 },
      { state: { position: 3, hash: new Uint8Array(32) } },
    ]) {
      const lying = withLast((log) => log.add({ ...record(3, log), ...lie } as never));
      expect(verdict(lying)).toBe('record');
    }
    expect(verdict(withLast((log) => log.addBytes(Uint8Array.of(99, 1, 1))))).toBe('event');
  });

  test('positions that descend, bytes that are no event, rows that are none of the table', () => {
    expect(verdict(withLast((log) => log.add(record(2, log))))).toBe('event');
    const { log: _, ...rest } = world;
    const made = (event: Uint8Array): ReturnType<typeof verdict> => {
      const log = new ReceiptLog();
      const defined = log.add(definition(1));
      const bad = log.addBytes(event);
      log.add(record(3, log));
      const parts = { events: [bad], context: [defined] };
      return verdict(make(parts, { ...rest, log }));
    };
    const good = rowEvent({ position: 2, id: 1, name: 'Anna', command: command(1) });
    expect(made(bytesOf(good))).toBe('holds');
    expect(made(Uint8Array.of(3, 2, 1, 255))).toBe('event');
    expect(made(bytesOf({ ...good, row: Uint8Array.of(0) }))).toBe('row');
    expect(made(bytesOf({ ...good, key: 'x' as typeof good.key }))).toBe('row');
    expect(made(bytesOf({ ...good, schemaVersion: 2 }))).toBe('definition');
    expect(made(bytesOf({ ...good, previousLeaf: 1 as LeafIndex }))).toBe('row');
    expect(made(bytesOf({ ...good, previousLeaf: 0 as LeafIndex }))).toBe('row');
    expect(made(bytesOf({ ...good, command: command(2) }))).toBe('position');
  });

  test('definitions that are no tables', () => {
    const table = definition(1) as Extract<ReturnType<typeof definition>, { schema: Uint8Array }>;
    for (const schema of [
      'x',
      '[]',
      'null',
      '{"id":16,"version":1,"name":"p","columns":[],"primaryKey":[0]}',
      '{"id":16,"version":1,"name":"p","columns":[null],"primaryKey":[]}',
      '{"id":16,"version":1,"name":"p","columns":[{"name":"a","type":{"name":"point"}}],"primaryKey":[]}',
      '{"id":16,"version":1,"name":"p","columns":[{"name":"a","type":{"name":"text"},"since":2}],"primaryKey":[]}',
      '{"id":17,"version":1,"name":"p","columns":[],"primaryKey":[]}',
    ]) {
      const log = new ReceiptLog();
      const defined = log.add({ ...table, schema: new TextEncoder().encode(schema) });
      const row = log.add(rowEvent({ position: 2, id: 1, name: 'Anna', command: command(1) }));
      log.add(record(3, log));
      const parts = { events: [row], context: [defined] };
      expect(verdict(make(parts, { ...world, log })), schema).toBe('definition');
    }
  });
});
