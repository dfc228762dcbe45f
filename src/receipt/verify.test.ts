import { expect, test } from 'vitest';
import { clinicWorld } from '../../test/support/receipt-world.ts';
import { formatReceipt, verifyReceipt } from './index.ts';

const world = clinicWorld();
const { log, signer, leaf } = world;
const keys = [signer.text];

function resultOf(
  make: Parameters<typeof log.receipt>[0],
  options: Partial<Parameters<typeof verifyReceipt>[1]> = {},
): ReturnType<typeof verifyReceipt> {
  const receipt = formatReceipt(log.receipt({ signers: [signer], ...make }));
  return verifyReceipt(receipt, { keys, ...options });
}

test('a position is shown with all its rows by column names, its metadata and what was there before', () => {
  const inserted = resultOf({
    kind: 'position',
    events: [leaf.anna, leaf.ben, leaf.cleo],
    context: [leaf.created, leaf.defined],
  });
  expect(inserted).toMatchObject({
    ok: true,
    receipt: {
      kind: 'position',
      origin: 'clinic.example',
      tenant: { id: 1, name: 'clinic' },
      leavesBetween: 0,
      commands: [
        {
          position: 3,
          time: '2026-09-21T14:13:20.000000Z',
          actor: 'dr. jones',
          reason: 'import',
          statement: 'INSERT INTO patients VALUES ($1, $2)',
          eventCount: 3,
          events: [
            {
              change: 'insert',
              table: 'patients',
              key: { id: 1 },
              after: { id: 1, name: 'Anna', weight: '61.5' },
              withheld: [],
            },
            { change: 'insert', key: { id: 2 }, after: { id: 2, name: 'Ben', weight: null } },
            { change: 'insert', key: { id: 3 } },
          ],
        },
      ],
      checkpoint: { size: 9, position: 6, signedBy: keys, handOvers: [], cosignatures: [] },
    },
  });
  const updated = resultOf({
    kind: 'position',
    events: [leaf.annaAgain],
    context: [leaf.defined, leaf.anna],
  });
  expect(updated).toMatchObject({
    ok: true,
    receipt: {
      tenant: { id: 1 },
      commands: [
        {
          events: [
            {
              change: 'update',
              before: { id: 1, name: 'Anna', weight: '61.5' },
              after: { id: 1, name: 'Anna Maria', weight: null },
            },
          ],
        },
      ],
    },
  });
});

test('a range tells how many leaves between its positions are not opened', () => {
  const range = resultOf({
    kind: 'range',
    events: [leaf.anna, leaf.ben, leaf.cleo, leaf.annaAgain, leaf.benGone],
    context: [leaf.defined],
  });
  expect(range).toMatchObject({ ok: true, receipt: { leavesBetween: 1 } });
});

test("a row's history is all its changes, and the state shows that there is none behind them", () => {
  const history = resultOf({
    kind: 'row',
    events: [leaf.anna, leaf.annaAgain],
    context: [leaf.created, leaf.defined],
    state: [world.prove(1)],
  });
  expect(history).toMatchObject({
    ok: true,
    receipt: {
      history: { table: 'patients', key: { id: 1 }, changes: 2, position: 6, endProved: true },
      state: [{ table: 'patients', key: { id: 1 }, row: { name: 'Anna Maria' }, position: 6 }],
    },
  });
  const deleted = resultOf({
    kind: 'row',
    events: [leaf.ben, leaf.benGone],
    context: [leaf.defined, leaf.anna],
    state: [world.prove(2)],
  });
  expect(deleted).toMatchObject({
    ok: true,
    receipt: {
      history: { endProved: false },
      commands: [{ reason: 'import' }, { events: [{ change: 'delete', before: { name: 'Ben' } }] }],
    },
  });
});

test('the state of keys shows the rows that are there and the absence of the others', () => {
  const shown = resultOf({
    kind: 'state',
    events: [leaf.cleo, leaf.annaAgain],
    context: [leaf.defined],
    state: [world.prove(1), world.prove(3), world.prove(2), world.prove(77)],
  });
  expect(shown).toMatchObject({
    ok: true,
    receipt: {
      state: [
        { key: { id: 1 }, row: { id: 1, name: 'Anna Maria' } },
        { key: { id: 3 }, row: { name: 'Cleo' } },
        { key: { id: 2 } },
        { key: { id: 77 } },
      ],
    },
  });
  const absent = resultOf({
    kind: 'state',
    events: [],
    context: [leaf.defined],
    state: [world.prove(77)],
  });
  expect(absent).toMatchObject({ ok: true, receipt: { tenant: { id: 1 }, commands: [] } });
  expect(absent.ok && absent.receipt.state?.[0]).not.toHaveProperty('row');
});
