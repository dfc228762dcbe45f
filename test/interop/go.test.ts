/**
 * Notes, cosignatures and proofs against implementations that are not ours: Go's golang.org/x/mod/sumdb and
 * filippo.io/torchwood, in both directions. Without a Go toolchain, or its module proxy, it says so and is skipped.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { utf8Encode } from '../../src/base/index.ts';
import { keys, Verity } from '../../src/database/index.ts';
import {
  ed25519PublicKey,
  ed25519Sign,
  ed25519Verify,
  SecretKey,
  sha256,
} from '../../src/crypto/index.ts';
import {
  addSignatures,
  cosignatureMessage,
  encodeCosignature,
  formatTlogProof,
  formatVkey,
  leafHash,
  makeVkey,
  openNote,
  parseCheckpoint,
  parseNote,
  parseTlogProof,
  parseVkey,
  verifyConsistency,
  verifyInclusion,
} from '../../src/proof/index.ts';
import { tlogProofs } from '../../src/receipt/index.ts';
import { SignedLog } from '../support/signed-log.ts';
import { startTestWitness } from '../support/witness.ts';

const directory = mkdtempSync(join(tmpdir(), 'verity-interop-'));
const program = join(directory, 'interop');
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Why the program cannot be built here; undefined when it was. */
function whyNot(): string | undefined {
  const cwd = fileURLToPath(new URL('go', import.meta.url));
  const env = { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' };
  const built = spawnSync('go', ['build', '-o', program, '.'], { cwd, env, timeout: 240_000 });
  if (built.error !== undefined) return `there is no Go toolchain (${built.error.message})`;
  if (built.status === 0) return undefined;
  const said = String(built.stderr).trim();
  // What is missing from outside is no failure of ours; what does not compile is.
  if (/^# /m.test(said)) throw new Error(`The Go program does not compile:\n${said}`);
  return `its modules or version are not to be had: ${said.split('\n').at(-1)}`;
}

const reason = whyNot();
if (reason !== undefined) process.stderr.write(`interop with Go is skipped: ${reason}\n`);

interface Growth {
  readonly from: number;
  readonly to: number;
  readonly fromRoot: string;
  readonly toRoot: string;
  readonly proof: readonly string[] | null;
}
interface Answer {
  readonly notes: readonly string[];
  readonly proofs: readonly string[];
  readonly growths: readonly string[];
  readonly made: {
    readonly log: string;
    readonly witness: string;
    readonly note: string;
    readonly leaves: readonly string[];
    readonly proofs: readonly { readonly commitment: string; readonly proof: string }[];
    readonly growths: readonly Growth[];
  };
}

function ask(request: object): Answer {
  const { status, stdout, stderr } = spawnSync(program, { input: JSON.stringify(request) });
  if (status !== 0) throw new Error(String(stderr));
  return JSON.parse(String(stdout)) as Answer;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

const origin = 'verity.example/log';
const log = new SignedLog(origin).grow(700);
const seed = new SecretKey(new Uint8Array(32).fill(9));
const witness = makeVkey(sha256, 'witness.example/w', 4, ed25519PublicKey(seed));

function cosigned(size: number): string {
  const note = log.note(size);
  const signature = ed25519Sign(seed, cosignatureMessage(1_800_000_000, parseNote(note).text));
  return addSignatures(note, [
    { name: witness.name, id: witness.id, signature: encodeCosignature(1_800_000_000, signature) },
  ]);
}

const proofOf = (index: number, size: number) => ({
  // The leaf's data, as SignedLog makes it.
  commitment: base64(utf8Encode(String(index))),
  proof: formatTlogProof({ index, proof: log.inclusion(index, size), checkpoint: cosigned(size) }),
});
const growthOf = (from: number, to: number): Growth => ({
  from,
  to,
  fromRoot: base64(log.root(from)),
  toRoot: base64(log.root(to)),
  proof: log.consistency(from, to).map(base64),
});

describe.skipIf(reason !== undefined)('Go', () => {
  const asked = {
    origin,
    log: formatVkey(log.vkey),
    witness: formatVkey(witness),
    notes: [1, 256, 700].map(cosigned),
    proofs: [
      proofOf(0, 1),
      proofOf(0, 700),
      proofOf(255, 257),
      proofOf(699, 700),
      proofOf(512, 513),
    ],
    growths: [growthOf(1, 700), growthOf(256, 700), growthOf(300, 301), growthOf(699, 700)],
  };

  test('accepts our notes, cosignatures, log proofs and consistency proofs', () => {
    const { notes, proofs, growths } = ask(asked);
    const all = [notes, proofs, growths].map((verdicts) => [...new Set(verdicts)]);
    expect(all).toEqual([['ok'], ['ok'], ['ok']]);
    expect([notes.length, proofs.length, growths.length]).toEqual([3, 5, 4]);
  });

  test('refuses them when they are altered: the test above can fail', () => {
    const [note = ''] = asked.notes;
    const [first] = asked.proofs;
    const [growth] = asked.growths;
    const { notes, proofs, growths } = ask({
      ...asked,
      notes: [note.replace('\n1\n', '\n2\n'), log.note(1)],
      proofs: [{ ...first, commitment: base64(utf8Encode('other')) }],
      growths: [{ ...growth, fromRoot: base64(log.root(2)) }],
    });
    expect([...notes, ...proofs, ...growths]).not.toContain('ok');
  });

  test('makes what we accept', () => {
    const { made } = ask(asked);
    const keys = [parseVkey(sha256, made.log), parseVkey(sha256, made.witness)];
    const { text, verified } = openNote(made.note, keys, ed25519Verify);
    expect(verified.map(({ vkey }) => vkey.type)).toEqual([1, 4]);
    expect(Math.abs((verified[1]?.time ?? 0) - Date.now() / 1000)).toBeLessThan(600);
    const { size, root } = parseCheckpoint(text);
    for (const { commitment, proof: spelled } of made.proofs) {
      const { index, proof, checkpoint } = parseTlogProof(spelled);
      expect(checkpoint).toBe(made.note);
      const leaf = leafHash(sha256, bytes(commitment));
      const claim = { index, size, leafHash: leaf, proof, root };
      expect(verifyInclusion(sha256, claim)).toBe(true);
      expect(formatTlogProof({ index, proof, checkpoint })).toBe(spelled);
    }
    for (const { from, to, fromRoot, toRoot, proof } of made.growths) {
      const claim = { from, to, fromRoot: bytes(fromRoot), toRoot: bytes(toRoot) };
      const hashes = (proof ?? []).map(bytes);
      expect(verifyConsistency(sha256, { ...claim, proof: hashes })).toBe(true);
    }
    expect([made.proofs.length, made.growths.length]).toEqual([7, 9]);
  });

  test('accepts a checkpoint of a database that a witness cosigned, and the proofs of a receipt', async () => {
    const folder = join(directory, 'database');
    const masterKey = keys.fromEnv('VERITY_INTEROP_KEY');
    process.env['VERITY_INTEROP_KEY'] = '5a'.repeat(32);
    await using db = await Verity.open(folder, { masterKey, origin });
    const tenant = await db.createTenant('clinic');
    await tenant.execute('CREATE TABLE notes (id integer PRIMARY KEY, text text)');
    const [vkey = ''] = db.proofs.vkeys();
    const logKey = parseVkey(sha256, vkey);
    const served = await startTestWitness(join(directory, 'witness'), 'witness.example/w', logKey);
    try {
      await db.witnesses.add(served.url, served.text);
      const values = Array.from({ length: 300 }, (_, id) => [id, `note ${id}`]);
      for (const parameters of values)
        await tenant.execute('INSERT INTO notes VALUES ($1, $2)', parameters);
      const first = await db.witnesses.cosign();
      const { position } = await tenant.execute("UPDATE notes SET text = 'new' WHERE id = 7");
      const second = await db.witnesses.cosign();
      const receipt = await tenant.receipt(position);
      const proofs = tlogProofs(receipt);
      expect(proofs.length).toBeGreaterThan(1);
      const { hashes } = await db.proofs.consistency(first.size, second.size);
      const [from, to] = [first, second].map(({ note }) => parseCheckpoint(parseNote(note).text));
      const answer = ask({
        origin,
        log: vkey,
        witness: served.text,
        notes: [first.note, second.note],
        proofs: proofs.map(({ commitment, proof }) => ({ commitment: base64(commitment), proof })),
        growths: [
          {
            from: from?.size,
            to: to?.size,
            fromRoot: base64(from?.root ?? new Uint8Array()),
            toRoot: base64(to?.root ?? new Uint8Array()),
            proof: hashes.map((hash) => Buffer.from(hash, 'hex').toString('base64')),
          },
        ],
      });
      const verdicts = [...answer.notes, ...answer.proofs, ...answer.growths];
      expect([...new Set(verdicts)]).toEqual(['ok']);
    } finally {
      await served.stop();
    }
  });
});
