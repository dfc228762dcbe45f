/** A database with a witness and a time-stamp authority on loopback; its disk rolled back, all but the witness. */
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ed25519Verify, sha256 } from '../../src/crypto/index.ts';
import { keys, type OpenOptions, Verity } from '../../src/database/index.ts';
import { openNote, parseCheckpoint, parseVkey } from '../../src/proof/index.ts';
import { hasOpenssl, makeAuthority, serveAuthority } from '../support/timestamp-authority.ts';
import { startTestWitness, type TestWitness } from '../support/witness.ts';

let folder: string;
const closing: (() => unknown)[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'verity-witness-sdk-'));
  await keys.generateFile(join(folder, 'key'));
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  rmSync(folder, { recursive: true, force: true });
});
const code = (name: string) => expect.objectContaining({ code: name });

const warnings: string[] = [];
const failures: string[] = [];
beforeEach(() => {
  warnings.splice(0);
  failures.splice(0);
});

async function open(more: OpenOptions = {}): Promise<Verity> {
  const db = await Verity.open(join(folder, 'data'), {
    masterKey: keys.fromFile(join(folder, 'key')),
    onWarning: (warning) => void warnings.push(warning),
    onSecurityFailure: (failure) => void failures.push(failure.code),
    ...more,
  });
  closing.push(() => db.close());
  return db;
}

/** A database of one table, and its witness, which knows its key and nothing of it yet. */
async function withWitness(): Promise<{ db: Verity; witness: TestWitness }> {
  const db = await open({ origin: 'clinic.example/records' });
  const tenant = await db.createTenant('clinic');
  await tenant.execute('CREATE TABLE notes (id integer PRIMARY KEY, text text)');
  const [vkey = ''] = db.proofs.vkeys();
  const witness = await startTestWitness(
    join(folder, 'witness'),
    'witness.example/w',
    parseVkey(sha256, vkey),
  );
  closing.push(() => witness.stop());
  await db.witnesses.add(witness.url, witness.text);
  return { db, witness };
}

async function write(db: Verity, id: number): Promise<void> {
  await db.tenant('clinic').execute('INSERT INTO notes VALUES ($1, $2)', [id, 'note']);
}

function saveAs(name: string): void {
  cpSync(join(folder, 'data'), join(folder, name), { recursive: true });
  // Not every Node takes the mode of a directory along.
  chmodSync(join(folder, name), 0o700);
}

/** Puts a saved copy in the place of the database: the whole disk is rewound. */
function putBack(name: string): void {
  rmSync(join(folder, 'data'), { recursive: true });
  renameSync(join(folder, name), join(folder, 'data'));
}

describe('a database with a witness', () => {
  test('has its checkpoints cosigned, keeps the cosignatures, and opens again', async () => {
    const { db, witness } = await withWitness();
    await write(db, 1);
    const { size, note, cosigned } = await db.witnesses.cosign();
    expect(cosigned).toBe(1);
    const vkeys = [...db.proofs.vkeys(), witness.text].map((text) => parseVkey(sha256, text));
    const { text, verified } = openNote(note, vkeys, ed25519Verify);
    expect([parseCheckpoint(text).size, verified.length]).toEqual([Number(size), 2]);
    await db.close();

    const again = await open();
    expect(again.proofs.newest()?.note).toBe(note);
    expect(again.witnesses.list()).toMatchObject([{ name: 'witness.example/w', url: witness.url }]);
    expect(again.witnesses.list()[0]?.cosigned).toBeInstanceOf(Date);
    // In the background: a checkpoint that is asked for elsewhere gets there, too.
    await write(again, 2);
    await again.proofs.checkpoint();
    await expect.poll(() => again.witnesses.list()[0]?.cosigned, { timeout: 10_000 }).toBeDefined();
    expect(openNote(again.proofs.newest()?.note ?? '', vkeys, ed25519Verify).verified).toHaveLength(
      2,
    );
    expect([warnings, failures]).toEqual([[], []]);
  });

  test('takes its cosigned checkpoints along when it is copied', async () => {
    const { db } = await withWitness();
    await write(db, 1);
    const { note } = await db.witnesses.cosign();
    const copy = join(folder, 'copy');
    await db.copyLog(copy);
    await db.close();
    const options = { masterKey: keys.fromFile(join(folder, 'key')) };
    const { findings, proofs } = await Verity.audit(copy, options);
    expect([findings, proofs?.cosignatures]).toEqual([[], 1]);
    const opened = await Verity.open(copy, { ...options, readOnly: true });
    closing.push(() => opened.close());
    expect(opened.proofs.newest()?.note).toBe(note);
  });

  test('that was rolled back, all but the witness, is refused, and can be read', async () => {
    const { db } = await withWitness();
    await write(db, 1);
    await db.witnesses.cosign();
    await db.close();
    saveAs('yesterday');
    const today = await open();
    await write(today, 2);
    await today.witnesses.cosign();
    await today.close();

    putBack('yesterday');
    await expect(open()).rejects.toThrow(code('LOG_ROLLED_BACK'));
    // Refusing changed nothing that matters: the next attempt says the same.
    await expect(open()).rejects.toThrow(/rolled back.*acceptRollback|--accept-rollback/);
    const reader = await open({ readOnly: true });
    const { rows } = await reader.tenant('clinic').query('SELECT id FROM notes');
    expect(rows).toEqual([{ id: 1 }]);
    await expect(reader.witnesses.cosign()).rejects.toThrow(code('READ_ONLY'));
    await reader.close();

    const accepted = await open({ acceptRollback: true });
    expect(warnings).toEqual([expect.stringContaining('witness.example/w')]);
    await write(accepted, 3);
    // It may go on; the witness does not go along, and that is told.
    const report = await accepted.witnesses.cosign();
    expect(report.cosigned).toBe(0);
    expect(report.witnesses[0]?.failure).toContain('events are others');
    await accepted.close();
    await (await open()).close();
  });

  test('that was rolled back and written on while the witness was away is refused when it is back', async () => {
    const { db, witness } = await withWitness();
    await db.close();
    saveAs('yesterday');
    const today = await open();
    await write(today, 1);
    await today.witnesses.cosign();
    const [vkey = ''] = today.proofs.vkeys();
    await today.close();
    await witness.stop();
    putBack('yesterday');
    const meanwhile = await open();
    expect(warnings).toEqual([expect.stringContaining('does not answer')]);
    for (let id = 10; id < 30; id++) await write(meanwhile, id);
    await meanwhile.close();
    const port = Number(new URL(witness.url).port);
    const log = parseVkey(sha256, vkey);
    const back = await startTestWitness(join(folder, 'witness'), 'witness.example/w', log, port);
    closing.push(() => back.stop());
    await expect(open()).rejects.toThrow(/the first \d+ events here are others/);
  });

  test('whose other copy goes on is told while it is open', async () => {
    const { db } = await withWitness();
    await db.witnesses.cosign();
    await db.close();
    cpSync(join(folder, 'data'), join(folder, 'copy'), { recursive: true });
    const first = await open();
    const second = await Verity.open(join(folder, 'copy'), {
      masterKey: keys.fromFile(join(folder, 'key')),
      onSecurityFailure: (failure) => void failures.push(failure.code),
    });
    closing.push(() => second.close());
    await write(first, 1);
    await first.witnesses.cosign();
    await write(second, 2);
    await write(second, 3);
    await second.proofs.checkpoint();
    await expect.poll(() => failures, { timeout: 10_000 }).toEqual(['LOG_ROLLED_BACK']);
  });

  test('and a strict policy is not opened for writing while too few answer', async () => {
    const { db, witness } = await withWitness();
    await db.witnesses.cosign();
    await db.close();
    await witness.stop();
    await (await open()).close();
    expect(warnings).toEqual([expect.stringContaining('does not answer')]);
    const again = await open();
    await again.witnesses.setPolicy({ required: 1, strict: true });
    await again.close();
    await expect(open()).rejects.toThrow(code('WITNESS_UNAVAILABLE'));
    await (await open({ readOnly: true })).close();
  });
});

describe.skipIf(!hasOpenssl)('a database with a time-stamp authority (needs openssl)', () => {
  test('has checkpoints stamped, when asked and in the background, and lists what holds', async () => {
    const authority = makeAuthority(join(folder, 'tsa'), { key: 'ec' });
    const stranger = makeAuthority(join(folder, 'stranger'), { key: 'ec' });
    const server = await serveAuthority(authority);
    closing.push(() => server.close());
    const db = await open();
    await db.createTenant('clinic');
    await expect(db.timestamps.stamp()).rejects.toThrow(code('INVALID_ARGUMENT'));
    await expect(db.timestamps.setAuthority(server.url, 'no certificate')).rejects.toThrow(
      code('INVALID_ARGUMENT'),
    );
    await db.timestamps.setAuthority(server.url, stranger.ca);
    await expect(db.timestamps.stamp()).rejects.toThrow(code('TIMESTAMP_INVALID'));
    expect(db.timestamps.list()).toEqual([]);

    await db.timestamps.setAuthority(server.url, authority.ca, { everySeconds: 3600 });
    await db.createTenant('hospital');
    await db.proofs.checkpoint();
    await expect.poll(() => db.timestamps.list().length, { timeout: 10_000 }).toBe(1);
    await db.createTenant('hospice');
    const stamp = await db.timestamps.stamp();
    expect(stamp.size).toBe(db.proofs.newest()?.size);
    expect(Math.abs(stamp.time.getTime() - Date.now())).toBeLessThan(60_000);
    // Not every checkpoint: once an hour, as it was said.
    await db.createTenant('pharmacy');
    await db.proofs.checkpoint();
    await db.close();
    const again = await open({ readOnly: true });
    expect(again.timestamps.list()).toHaveLength(2);
    expect(again.timestamps.list()[1]).toEqual(stamp);
    expect(again.timestamps.list({ ca: stranger.ca })).toEqual([]);
    expect(again.timestamps.authority).toMatchObject({ url: server.url, everySeconds: 3600 });
    await again.close();

    const last = await open();
    await server.close();
    await expect(last.timestamps.stamp()).rejects.toThrow(code('WITNESS_UNAVAILABLE'));
    await last.timestamps.removeAuthority();
    expect(last.timestamps.authority).toBeUndefined();
  });

  test('is audited with them: what holds, what is not trusted, and what was altered', async () => {
    const authority = makeAuthority(join(folder, 'tsa'), { key: 'ec' });
    const stranger = makeAuthority(join(folder, 'stranger'), { key: 'ec' });
    const server = await serveAuthority(authority);
    closing.push(() => server.close());
    const { db } = await withWitness();
    await db.witnesses.cosign();
    await db.timestamps.setAuthority(server.url, authority.ca);
    await db.timestamps.stamp();
    await write(db, 1);
    await db.timestamps.stamp();
    await db.close();
    const file = join(folder, 'data', 'proofs', 'timestamps');
    const good = readFileSync(file, 'utf8');
    expect(good.split('\n')).toHaveLength(3);
    const audit = async (more: object = {}) =>
      Verity.audit(join(folder, 'data'), {
        masterKey: keys.fromFile(join(folder, 'key')),
        ...more,
      });
    const report = await audit();
    expect(report.findings).toEqual([]);
    expect(report.proofs).toMatchObject({ timeStamps: 2, timeStampsUnchecked: 0 });
    expect(report.proofs?.cosignatures).toBeGreaterThan(0);
    const others = [{ timeStampCa: stranger.ca }, { withoutKey: true }];
    for (const more of others) {
      const { ok, proofs } = await audit(more);
      expect([ok, proofs?.timeStamps, proofs?.timeStampsUnchecked]).toEqual([true, 0, 2]);
    }
    const byHand = await audit({ withoutKey: true, timeStampCa: authority.ca });
    expect(byHand.proofs).toMatchObject({ timeStamps: 2 });

    const [first = '', second = ''] = good.split('\n');
    const [size] = first.split(' ');
    const altered = [
      [second.length + 1, `${second}\n${second.replace(/^\d+/, size ?? '')}\n`],
      [0, `x\n${second}\n`],
      [0, `9999 ${second.split(' ')[1]}\n`],
      [0, `${first.slice(0, -8)}AAAAAAA=\n${second}\n`],
    ] as [number, string][];
    for (const [offset, text] of altered) {
      writeFileSync(file, text);
      const { findings } = await audit();
      expect(findings).toMatchObject([{ file: 'proofs/timestamps', offset }]);
    }
    // What a crash tore at the end is nothing.
    writeFileSync(file, `${good}12 AAA`);
    expect((await audit()).findings).toEqual([]);
  });
});
