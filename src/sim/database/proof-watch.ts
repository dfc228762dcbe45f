/** Checkpoints and the tree of the log: what was told and signed, against the log as it lies on the disk. */
import { fromHex, type LogId, Prng, toHex } from '../../base/index.ts';
import { ed25519Verify, sha256 } from '../../crypto/index.ts';
import { emptyLogHead, leafBytes } from '../../log/index.ts';
import { openNote, parseCheckpoint, parseVkey } from '../../proof/index.ts';
import { Violation } from '../violation.ts';
import { walkFrames } from './chain.ts';
import { codeOf } from './client.ts';
import type { SimCheckpoint, SimDatabase } from './contract.ts';
import type { Environment, Session } from './environment.ts';
import { NaiveTree } from './naive-tree.ts';

/** A note that somebody was given. */
interface Told {
  readonly note: string;
  readonly size: number;
  readonly root: string;
  /** When: lines of the trace by then. */
  readonly line: number;
}

/** The log on the disk. */
interface ReadLog {
  readonly tree: NaiveTree;
  /** Chain hashes by the last position of their frames: a mark leaves the position where it is. */
  readonly chain: ReadonlyMap<bigint, readonly string[]>;
}

const proofsPerCheck = 3;

export class ProofWatch {
  readonly #environment: Environment;
  readonly #prng: Prng;
  readonly #pending = new Set<Promise<void>>();
  #told = new Map<string, Told>();
  /** State hashes by position. */
  #states = new Map<bigint, { readonly hash: string; readonly line: number }>();
  #violation: Violation | undefined;
  /** Notes may be gone that were in the damaged file alone. */
  #isRepaired = false;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#prng = new Prng(environment.context.seed + 2 ** 41);
  }

  /** Asks for a checkpoint, and does not wait. */
  ask({ db, simProcess }: Session): void {
    this.#start({ db, simProcess } as Session, 'checkpoint', async () => {
      this.#tell(db, await simProcess.live(db.proofs.checkpoint()));
    });
  }

  /** Begins to rotate the signing key, and does not wait. */
  rotate(session: Session): void {
    const { keys } = session.db;
    this.#start(session, 'signing key', async () => {
      await session.simProcess.live(keys.rotateSigningKey());
      this.#environment.context.marks.add('signing key rotated');
    });
  }

  /** All have their answers. Throws what was wrong with one. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
    if (this.#violation !== undefined) throw this.#violation;
  }

  /** The process has ended: what had no answer has none. */
  ended(): void {
    this.#pending.clear();
  }

  /** Takes back what was told after line `line` of the trace: the disk had lied. */
  forgetAfter(line: number): void {
    this.#told = new Map([...this.#told].filter(([, told]) => told.line <= line));
    this.#states = new Map([...this.#states].filter(([, state]) => state.line <= line));
  }

  /** The file of notes was damaged, and repaired from a copy, which may lack the newest. */
  repaired(): void {
    this.#isRepaired = true;
  }

  /** A checkpoint of a database without work: it names the state that the database says, and that is there. */
  async checkState({ db, simProcess }: Session, stateHash: string): Promise<void> {
    const signed = await simProcess.live(db.proofs.checkpoint()).catch(ignoreOverload);
    if (signed === undefined) return;
    this.#tell(db, signed);
    if (signed.stateHash?.hash === stateHash) return;
    throw new Violation(
      'checkpoint record',
      `the record of ${signed.size} events names the state ${signed.stateHash?.hash}, which is ${stateHash}`,
    );
  }

  /** Holds a database that was just opened against its log, and against what was told before. */
  async check({ db, simProcess }: Session): Promise<void> {
    const { context, machine, logId } = this.#environment;
    if (logId === undefined || db.status().position === 0n) return;
    const shown = await simProcess.live(this.#ask(db));
    const notes = db.proofs.list();
    // Of damage that opening does not come to, verify() tells.
    if (this.#environment.isDamaged) return;
    const log = readLog(machine.disk.image(), logId);
    for (const { what, is, size, leaf, from } of shown) {
      const wanted =
        leaf === undefined ? log.tree.consistency(from, size) : log.tree.path(leaf, 0, size);
      if (is.join() !== wanted.map(toHex).join())
        throw new Violation(
          'log tree',
          `${what} of ${size} events is not that of the log's leaves`,
        );
      context.checks.add('log tree');
    }
    for (const signed of notes) {
      this.#checkRecord(signed, log);
      this.#tell(db, signed);
    }
    if (this.#isRepaired) {
      const there = new Set(notes.map(({ note }) => note));
      for (const note of this.#told.keys()) if (!there.has(note)) this.#told.delete(note);
      this.#isRepaired = false;
    }
    for (const told of this.#told.values()) this.#checkTold(told, log, notes);
  }

  /** Proofs at random sizes. */
  async #ask(db: SimDatabase): Promise<readonly ShownProof[]> {
    const shown: ShownProof[] = [];
    for (let count = 0; count < proofsPerCheck; count++) {
      const newest = await db.proofs.inclusion(0);
      const all = Number(newest.size);
      const size = count === 0 ? all : 1 + this.#prng.below(all);
      const leaf = this.#prng.below(size);
      const inclusion = await db.proofs.inclusion(leaf, size);
      shown.push({ what: `the proof of leaf ${leaf}`, is: inclusion.hashes, size, leaf, from: 0 });
      const from = 1 + this.#prng.below(size);
      const consistency = await db.proofs.consistency(from, size);
      shown.push({ what: `the proof from ${from}`, is: consistency.hashes, size, from });
    }
    return shown;
  }

  /** What a record says is what the log was, and the state at a position is one. */
  #checkRecord({ size, position, chainHash, stateHash }: SimCheckpoint, log: ReadLog): void {
    const { context } = this.#environment;
    context.checks.add('checkpoint record');
    const chain = log.chain.get(position) ?? [];
    if (!chain.includes(chainHash))
      throw new Violation(
        'checkpoint record',
        `the record of ${size} events says that position ${position} has chain hash ${chainHash}, which is ${chain.join(' or ')}`,
      );
    if (stateHash === undefined) return;
    const known = this.#states.get(stateHash.position);
    this.#states.set(stateHash.position, {
      hash: stateHash.hash,
      line: known?.line ?? context.trace.lineCount,
    });
    if (known === undefined || known.hash === stateHash.hash) return;
    throw new Violation(
      'checkpoint record',
      `two records name the states ${known.hash} and ${stateHash.hash} at position ${stateHash.position}`,
    );
  }

  /** What was signed is a prefix of the log, as it is now; and nothing that was told is gone. */
  #checkTold({ note, size, root }: Told, { tree }: ReadLog, notes: readonly SimCheckpoint[]): void {
    const { checks } = this.#environment.context;
    const isOfLog = size <= tree.leaves.length && toHex(tree.root(0, size)) === root;
    if (!isOfLog)
      throw new Violation(
        'signed notes',
        `a checkpoint of ${size} events was signed that the log, of ${tree.leaves.length}, is not`,
      );
    checks.add('signed notes');
    if (!notes.some((one) => one.note === note))
      throw new Violation('notes kept', `the note of ${size} events was told, and is gone`);
    checks.add('notes kept');
  }

  /** Remembers a note, whose signature must hold. */
  #tell(db: SimDatabase, signed: SimCheckpoint): void {
    const { note } = signed;
    if (this.#told.has(note)) return;
    const vkeys = db.proofs.vkeys().map((vkey) => parseVkey(sha256, vkey));
    const { size, root } = parseCheckpoint(openNote(note, vkeys, ed25519Verify).text);
    if (BigInt(size) !== signed.size || toHex(root) !== signed.root)
      throw new Violation('signed notes', `the note of ${signed.size} events says something else`);
    const { trace } = this.#environment.context;
    trace.add(`checkpoint ${size}`);
    this.#told.set(note, { note, size, root: signed.root, line: trace.lineCount });
  }

  #start({ simProcess }: Session, what: string, begin: () => Promise<void>): void {
    const { trace, load } = this.#environment.context;
    load.add('proof requests');
    const settle = async (): Promise<void> => {
      try {
        await begin();
        trace.add(`answer: ${what} done`);
      } catch (error) {
        if (simProcess.isGone) return;
        trace.add(`answer: ${what} ${codeOf(error)}`);
        const isRight =
          ['CLOSED', 'OVERLOADED'].includes(codeOf(error)) ||
          (this.#environment.isPlain && codeOf(error) === 'NOT_ENCRYPTED');
        if (isRight || this.#environment.isExplained(simProcess, error)) return;
        this.#violation ??=
          error instanceof Violation
            ? error
            : new Violation('answers', `${what}: ${String(error)}`, { cause: error });
      }
    };
    const settled: Promise<void> = settle().finally(() => this.#pending.delete(settled));
    this.#pending.add(settled);
  }
}

interface ShownProof {
  readonly what: string;
  readonly is: readonly string[];
  readonly size: number;
  readonly from: number;
  /** Of an inclusion proof. */
  readonly leaf?: number;
}

function readLog(image: ReadonlyMap<string, Uint8Array>, logId: string): ReadLog {
  const leaves: Uint8Array[] = [];
  const genesis = emptyLogHead(fromHex(logId) as Uint8Array as LogId);
  const chain = new Map<bigint, string[]>([[0n, [toHex(genesis.chainHash)]]]);
  walkFrames(image, logId, (frame) => {
    const position = BigInt(frame.position);
    chain.set(position, [...(chain.get(position) ?? []), frame.chainHash]);
    for (let at = 0; at < frame.leaves.length; at += leafBytes)
      leaves.push(frame.leaves.slice(at + 2, at + leafBytes));
  });
  return { tree: new NaiveTree(leaves), chain };
}

function ignoreOverload(error: unknown): undefined {
  if (codeOf(error) !== 'OVERLOADED') throw error;
}
