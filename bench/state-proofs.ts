/** `state-proofs`: rows by primary key with their proofs, among 100,000; beside writers; and their check. */
import type { TenantHandle, Verity } from 'veritydb';
import { verifyReceipt } from 'veritydb/verify';
import { insertAll } from './inserts.ts';
import { checked, type Line, measureInTurns, type Subject, timed } from './measure.ts';
import { makeTenants, Place } from './place.ts';
import { insertRow, makeRow, makeRows, Numbers, selectRow } from './rows.ts';

const rowCount = 100_000;
const atOnce = 64;
const perSlice = 640;
const rounds = 5;

export async function stateProofs(): Promise<Line[]> {
  const place = new Place();
  const db = await place.open('proved');
  try {
    const [tenant] = (await makeTenants(db, 1)) as [TenantHandle];
    const numbers = new Numbers(5);
    const rows = makeRows(numbers, rowCount);
    await insertAll(rows, atOnce, (row) => tenant.execute(insertRow, row));
    await db.stateHash();
    const ids = (): string[] =>
      Array.from({ length: atOnce }, (_, index) =>
        // One of 64 is not there.
        index === 0 ? makeRow(numbers)[0] : (rows[numbers.below(rowCount)]?.[0] ?? ''),
      );
    const proofs = (between: () => Promise<unknown>) => async (): Promise<number> => {
      let found = 0;
      for (let done = 0; done < perSlice; done += atOnce) {
        const [results] = await Promise.all([
          Promise.all(ids().map((id) => tenant.query(selectRow, [id], { prove: true }))),
          between(),
        ]);
        for (const result of results) found += result.rows.length;
      }
      return checked(found, perSlice - perSlice / atOnce) + perSlice / atOnce;
    };
    const still = async (): Promise<void> => undefined;
    const write = (): Promise<unknown> =>
      Promise.all(makeRows(numbers, atOnce).map((row) => tenant.execute(insertRow, row)));
    const { check, bytes } = await checkOf(db, tenant, ids());
    const subject = (bench: string, work: () => Promise<number> | number): Subject => ({
      bench,
      unit: 'proofs',
      slice: () => timed(work),
    });
    const lines = await measureInTurns(
      [
        subject('state-proofs-check', check),
        subject('state-proofs-written', proofs(write)),
        subject('state-proofs', proofs(still)),
      ],
      rounds,
    );
    return lines.map((line) => ({ ...line, receiptBytes: bytes }));
  } finally {
    await db.close();
    place.remove();
  }
}

/** Checks the proofs of these rows, each as whoever is given it does. */
async function checkOf(
  db: Verity,
  tenant: TenantHandle,
  ids: readonly string[],
): Promise<{ readonly check: () => number; readonly bytes: number }> {
  const receipts = await Promise.all(
    ids.map(async (id) => (await tenant.query(selectRow, [id], { prove: true })).proof),
  );
  const keys = [db.keys.exportPublic().vkey];
  const check = (): number => {
    const held = receipts.filter((receipt) => verifyReceipt(receipt, { keys }).ok);
    return checked(held.length, receipts.length);
  };
  return { check, bytes: Math.round(receipts.join('').length / receipts.length) };
}
