/**
 * Receipts as a real database makes them, with everything that they may carry: a key that was handed over, a cosignature, the time stamp of an
 * authority, withheld columns. None of their bytes can be another one, or missing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ed25519Verify, sha256 } from '../../src/crypto/index.ts';
import { keys, Verity } from '../../src/database/index.ts';
import { parseVkey, type VerifyEd25519 } from '../../src/proof/index.ts';
import {
  type ReceiptFacts,
  receiptChecks,
  verifyReceipt,
  type VerifyOptions,
} from '../../src/receipt/index.ts';
import { parseReceipt } from '../../src/receipt/receipt-text.ts';
import { readTrusted, verifyTimeStamp } from '../../src/witness/index.ts';
import { hasOpenssl, makeAuthority, serveAuthority } from '../support/timestamp-authority.ts';
import { startTestWitness } from '../support/witness.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-real-mutants-'));
const closing: (() => unknown)[] = [];
const receipts = new Map<string, string>();
let options: VerifyOptions;
/** Of the witness: those of its receipts have its cosignature. */
let witnesses: string[];
const attested = ['position', 'withheld'];

const known = new Map<string, unknown>();
/** Most mutants have the good signatures and stamps still: each of those is checked once. */
function once<T>(parts: readonly Uint8Array[], work: () => T): T {
  const name = parts.map((part) => Buffer.from(part).toString('latin1')).join('|');
  if (!known.has(name)) known.set(name, work());
  return known.get(name) as T;
}
const verifyOnce: VerifyEd25519 = (publicKey, message, signature) =>
  once([publicKey, signature, message], () => ed25519Verify(publicKey, message, signature));

beforeAll(async () => {
  await keys.generateFile(join(folder, 'key'));
  const db = await Verity.open(join(folder, 'data'), {
    masterKey: keys.fromFile(join(folder, 'key')),
    origin: 'clinic.example/records',
  });
  closing.push(() => db.close());
  const { vkey } = db.keys.exportPublic();
  const clinic = await db.createTenant('clinic');
  await clinic.execute('CREATE TABLE notes (id integer PRIMARY KEY, text text)');
  await clinic.execute(
    "CREATE TABLE secrets (id integer PRIMARY KEY, name text, diagnosis text) WITH (disclosure = 'field')",
  );
  const who = { actor: 'dr. jones', reason: 'intake' };
  const { position } = await clinic.execute("INSERT INTO notes VALUES (1, 'a'), (2, 'b')", [], who);
  await clinic.execute("UPDATE notes SET text = 'c' WHERE id = 1");
  const { position: hidden } = await clinic.execute(
    "INSERT INTO secrets VALUES (1, 'Anna', 'flu')",
  );
  await db.keys.rotateSigningKey();
  const witness = await startTestWitness(
    join(folder, 'witness'),
    'witness.example/w',
    parseVkey(sha256, db.keys.exportPublic().vkey),
  );
  closing.push(() => witness.stop());
  witnesses = [witness.text];
  await db.witnesses.add(witness.url, witness.text);
  const authority = hasOpenssl ? makeAuthority(join(folder, 'tsa')) : undefined;
  if (authority !== undefined) {
    const server = await serveAuthority(authority);
    closing.push(() => server.close());
    await db.timestamps.setAuthority(server.url, authority.ca);
  }
  receipts.set('row', await clinic.rowReceipt('notes', [1]));
  const prove = { prove: true } as const;
  receipts.set('state', (await clinic.query('SELECT * FROM notes WHERE id = 2', [], prove)).proof);
  receipts.set(
    'absence',
    (await clinic.query('SELECT * FROM notes WHERE id = 9', [], prove)).proof,
  );
  await db.witnesses.cosign();
  if (authority !== undefined) await db.timestamps.stamp();
  receipts.set('position', await clinic.receipt(position));
  receipts.set('withheld', await clinic.receipt(hidden, { columns: ['id', 'name'] }));
  const trusted = authority && readTrusted(authority.ca);
  options = {
    keys: [vkey],
    crypto: { sha256, verifyEd25519: verifyOnce },
    ...(trusted !== undefined && {
      verifyTimeStamp: (token: Uint8Array, message: Uint8Array) =>
        once([token, message], () => {
          try {
            const { time, authority: name } = verifyTimeStamp(token, message, trusted);
            return { time: time.toISOString(), authority: name };
          } catch {
            return undefined;
          }
        }),
    }),
  };
});
afterAll(async () => {
  for (const close of closing.toReversed()) await close();
  rmSync(folder, { recursive: true, force: true });
});

/** What is shown of a row that is not there is so of every other key, too, whose path leads to the same place. */
function isOtherAbsence(facts: ReceiptFacts, truth: ReceiptFacts): boolean {
  const [row] = facts.state ?? [];
  const withKey = { ...facts, state: [{ ...row, key: truth.state?.[0]?.key }] };
  return row?.row === undefined && isDeepStrictEqual(withKey, truth);
}

test('carry what was asked for', () => {
  for (const [kind, text] of receipts) {
    const { handOvers, note, timeStamps } = parseReceipt(text).checkpoint;
    expect(handOvers).toHaveLength(1);
    // In the background others may be cosigned and stamped, too.
    if (!attested.includes(kind)) continue;
    expect(note).toContain('— witness.example/w ');
    expect(timeStamps.length > 0).toBe(hasOpenssl);
  }
});

test.each(['row', 'state', 'absence', 'position', 'withheld'])(
  'no byte of %s can be another',
  (kind) => {
    const text = receipts.get(kind) ?? '';
    const all = attested.includes(kind) ? { ...options, witnesses } : options;
    const good = verifyReceipt(text, all);
    if (!good.ok) throw new Error(`${good.check}: ${good.message}`);
    let refused = 0;
    const tokens = [...text.matchAll(/"MII[^"]*"/g)].map(
      (found) => [found.index, found.index + found[0].length] as const,
    );
    const isInToken = (at: number): boolean => tokens.some(([from, to]) => from < at && at < to);
    const refuse = (changed: string, at: number): void => {
      const result = verifyReceipt(changed, all);
      if (result.ok) {
        if (kind === 'absence' && isOtherAbsence(result.receipt, good.receipt)) return;
        // Of a token the signed part says everything; what names algorithms and signer beside it may be spelled otherwise.
        if (isInToken(at) && isDeepStrictEqual(result.receipt, good.receipt)) return;
        throw new Error(`accepted: ${changed}`);
      }
      const { check, message } = result;
      if (!receiptChecks.includes(check) || message.includes('cannot be read: '))
        throw new Error(`${check}: ${message}`);
      refused += 1;
    };
    // Of the longest, which are of the same parts, every third byte.
    for (let at = 0; at < text.length; at += attested.includes(kind) ? 3 : 1) {
      const before = text.slice(0, at);
      const after = text.slice(at + 1);
      refuse(`${before}${String.fromCharCode(text.charCodeAt(at) ^ (1 << (at % 7)))}${after}`, at);
      refuse(`${before}${after}`, at);
      if (at % 16 === 0) refuse(before, at);
    }
    expect(refused).toBeGreaterThan(text.length * (attested.includes(kind) ? 0.6 : 1.9));
  },
);
