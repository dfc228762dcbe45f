/** Damage at rest, and repairs of it from a copy; a repair that is interrupted is done again. */
import { equalBytes } from '../../base/index.ts';
import { segmentHeaderBytes } from '../../log/index.ts';
import { SimMachine } from '../machine.ts';
import { ProcessGone } from '../process.ts';
import { Violation } from '../violation.ts';
import { type SeenFrame, walkFrames } from './chain.ts';
import { codeOf } from './client.ts';
import type { Backup } from './copier.ts';
import { type Environment, isFaulted } from './environment.ts';
import type { Damage, DatabaseEvent } from './events.ts';
import type { Owner } from './owner.ts';

export type RepairEvent = Extract<DatabaseEvent, { kind: 'repair' }>;
type Image = ReadonlyMap<string, Uint8Array>;

const attemptsMax = 4;

/** What a repair is up against. */
interface Case {
  readonly before: Image;
  readonly backup: Backup;
  /** Whether the copy has all that was damaged, sealed under keys that are still there. */
  readonly isCurable: boolean;
}

export class Repairer {
  readonly #environment: Environment;
  readonly #owner: Owner;

  constructor(environment: Environment, owner: Owner) {
    this.#environment = environment;
    this.#owner = owner;
  }

  async perform(event: RepairEvent, backup: Backup | undefined): Promise<void> {
    const { machine, context, keyChanges } = this.#environment;
    if (backup === undefined || !(await this.#owner.closeForRepair())) return;
    // What is damaged for another reason makes this case none that can be judged.
    if (machine.disk.isDead || this.#environment.isDamaged) return;
    const before = machine.disk.image();
    const frames = await this.#framesOf(before);
    if (frames === undefined) return;
    const isOfKeys = backup.keyEra === keyChanges.keyEra;
    const cures = event.damages.map((damage) => this.#damage(damage, { before, frames, backup }));
    if (!this.#environment.isDamaged) return;
    context.faults.add('planted damage');
    await this.#repair(event, { before, backup, isCurable: isOfKeys && cures.every(Boolean) });
  }

  async #repair(event: RepairEvent, what: Case): Promise<void> {
    const { machine, context } = this.#environment;
    // A write that were lost now could not be told from what was planted.
    machine.disarm();
    if (event.crashAtCall !== undefined) {
      machine.arm({ crashAtCall: machine.disk.callCount + event.crashAtCall });
    }
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const outcome = await this.#attempt(what);
      context.trace.add(`repair: ${outcome}`);
      if (outcome === 'done') {
        if (attempt > 1) context.marks.add('repair done again');
        return this.#check(what);
      }
      if (outcome === 'refused') {
        context.marks.add('repair refused');
        break;
      }
      if (machine.disk.isDead) this.#owner.losePower(event.dice + attempt);
    }
    this.#environment.mend();
  }

  async #attempt({ backup, isCurable }: Case): Promise<'done' | 'refused' | 'interrupted'> {
    const { scheduler } = this.#environment.context;
    const { image } = backup;
    const other = new SimMachine({ seed: 0, scheduler, onLie: () => undefined, image });
    const copy = other.start();
    const simProcess = this.#environment.startProcess('repair ');
    try {
      const report = await simProcess.live(this.#environment.repair(simProcess, copy));
      // A damaged slot of the anchor is written again by the next open, not by a repair; so is the newest note, if the copy lacks it.
      const isForOpening = report.verification?.findings.every(({ file }) =>
        ['anchor', 'proofs/checkpoints'].includes(file),
      );
      if (report.ok || isForOpening === true) return 'done';
      throw new Violation('repair', 'a repair was done, and what it left is not sound');
    } catch (error) {
      if (error instanceof ProcessGone || simProcess.isGone) return 'interrupted';
      if (isFaulted(simProcess, error)) return 'interrupted';
      if (simProcess.disk.failures.length > 0) return 'interrupted';
      if (error instanceof Violation) throw error;
      if (!isCurable && isRefusal(codeOf(error))) return 'refused';
      const message = `the copy has what is damaged, and the repair failed: ${String(error)}`;
      throw new Violation('repair', message, { cause: error });
    } finally {
      simProcess.kill();
      copy.kill();
    }
  }

  /** Files of the log are what they were, byte for byte; where keys went since the copy was made, frame by frame. */
  #check({ before, isCurable }: Case): void {
    const { context, machine } = this.#environment;
    context.checks.add('repair');
    context.load.add('repairs');
    if (!isCurable) return;
    const after = machine.disk.image();
    for (const [path, bytes] of before) {
      if (!path.startsWith('log/')) continue;
      // A crash may have left zeros behind the last frame of a finished segment, which a copy does without.
      const repaired = after.get(path) ?? new Uint8Array();
      if (equalBytes(withoutZeros(bytes), withoutZeros(repaired))) continue;
      throw new Violation('repair', `${path} was repaired, and is not what it was`);
    }
  }

  /** Every frame of the log; undefined where there is none. */
  async #framesOf(image: Image): Promise<SeenFrame[] | undefined> {
    const { logId } = this.#environment;
    if (logId === undefined) return undefined;
    const frames: SeenFrame[] = [];
    walkFrames(image, logId, (frame) => frames.push(frame));
    return frames;
  }

  /** Rots some bytes; whether the copy has what was there. */
  #damage(
    { where, pick, lengthBytes, mask }: Damage,
    on: { readonly before: Image; readonly frames: readonly SeenFrame[]; readonly backup: Backup },
  ): boolean {
    const { before, frames, backup } = on;
    const { disk } = this.#environment.machine;
    const place =
      where === 'copied log'
        ? placeInFrames(
            frames.filter(({ op }) => op <= backup.frames),
            pick,
          )
        : placeInFiles(before, pick);
    if (place === undefined) return true;
    const [path, offset] = place;
    let isCurable = true;
    for (let at = offset; at < offset + lengthBytes; at++) {
      if (!disk.rot(path, at, mask)) continue;
      if (path === 'proofs/checkpoints') this.#environment.proofs.repaired();
      const frame = frames.find((one) => one.path === path && one.offset <= at && at < one.end);
      const isHeader = path.startsWith('log/') && at < segmentHeaderBytes;
      // Of these what is good is kept, and the rest made again or lost.
      const isOfProofs = path.startsWith('proofs/');
      isCurable &&= isHeader || isOfProofs || (frame !== undefined && frame.op <= backup.frames);
    }
    return isCurable;
  }
}

/** Codes of a repair that finds that the copy does not help. */
function isRefusal(code: string): boolean {
  return [
    'MISSING_DATA',
    'CHECKSUM_MISMATCH',
    'CHAIN_BROKEN',
    'AUTHENTICATION_FAILED',
    'KEYRING_ROLLED_BACK',
    'FOREIGN_FILE',
    'FORMAT_UNSUPPORTED',
    'WRONG_KEY',
  ].includes(code);
}

function withoutZeros(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.findLastIndex((byte) => byte !== 0) + 1);
}

type Place = readonly [path: string, offset: number];

function placeInFrames(frames: readonly SeenFrame[], pick: number): Place | undefined {
  const frame = frames[pick % Math.max(1, frames.length)];
  if (frame === undefined) return undefined;
  const inside = Math.floor(pick / frames.length) % (frame.end - frame.offset);
  return [frame.path, frame.offset + inside];
}

function placeInFiles(image: Image, pick: number): Place | undefined {
  const files = [...image].filter(([path, bytes]) => isOfDatabase(path) && bytes.length > 0);
  const [path, bytes] = files[pick % Math.max(1, files.length)] ?? [];
  if (path === undefined || bytes === undefined) return undefined;
  return [path, Math.floor(pick / files.length) % bytes.length];
}

/** Whether a file is one that a repair looks at, and not what an earlier one kept. */
export function isOfDatabase(path: string): boolean {
  return !path.startsWith('damaged/');
}
