/**
 * `receipt`: receipts of random positions of a log of 1,000,000 rows, each of a position of its own (VERITY_BENCH_RECEIPT_ROWS sets
 * another number); `check`: verifyReceipt of them as it comes, and with the platform's SHA-256 and Ed25519 (`check-node`).
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import process from 'node:process';
import type { TenantHandle } from 'veritydb';
import { verifyReceipt, type VerifyOptions } from 'veritydb/verify';
import { insertAll } from './inserts.ts';
import { checked, type Line, lineOf, slicesInTurns, type Subject, timed } from './measure.ts';
import { makeTenants, Place } from './place.ts';
import { insertRow, makeRows, Numbers } from './rows.ts';

const rowCount = Number(process.env['VERITY_BENCH_RECEIPT_ROWS'] ?? 1_000_000);
const rowsAtOnce = 50_000;
const perSlice = 200;
const rounds = 5;
const spki = Buffer.from('302a300506032b6570032100', 'hex');

export async function receipts(): Promise<Line[]> {
  const place = new Place();
  const db = await place.open('receipts');
  try {
    const [tenant] = (await makeTenants(db, 1)) as [TenantHandle];
    const numbers = new Numbers(5);
    let first = 0n;
    let last = 0n;
    for (let done = 0; done < rowCount; done += rowsAtOnce) {
      const rows = makeRows(numbers, Math.min(rowsAtOnce, rowCount - done));
      await insertAll(rows, 256, async (row) => {
        const { position } = await tenant.execute(insertRow, row);
        first ||= position;
        if (position > last) last = position;
      });
    }
    const keys = [db.keys.exportPublic().vkey];
    const span = Number(last - first);
    const make = async (): Promise<string[]> => {
      const made: string[] = [];
      for (let count = 0; count < perSlice; count++)
        made.push(await tenant.receipt(first + BigInt(numbers.below(span))));
      return made;
    };
    const texts = await make();
    const check = (more: Partial<VerifyOptions>) => (): number =>
      checked(texts.filter((text) => verifyReceipt(text, { keys, ...more }).ok).length, perSlice);
    const subjects: Subject[] = [
      {
        bench: 'receipt',
        unit: 'receipts',
        slice: () => timed(async () => (await make()).length),
      },
      { bench: 'check', unit: 'receipts', slice: () => timed(check({})) },
      { bench: 'check-node', unit: 'receipts', slice: () => timed(check({ crypto: platform })) },
    ];
    const slices = await slicesInTurns(subjects, rounds);
    const bytes = Math.round(texts.join('').length / perSlice);
    return subjects.map((subject, index) => ({
      ...lineOf(subject, slices[index] ?? []),
      rows: rowCount,
      receiptBytes: bytes,
    }));
  } finally {
    await db.close();
    place.remove();
  }
}

const platform: NonNullable<VerifyOptions['crypto']> = {
  sha256: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
  verifyEd25519: (publicKey, message, signature) => {
    const key = createPublicKey({
      key: Buffer.concat([spki, publicKey]),
      format: 'der',
      type: 'spki',
    });
    return verify(null, message, key, signature);
  },
};
