/**
 * What was signed last, held against the log. A log that was put back to what it was, or that went another way, signs nothing more,
 * unless somebody decided to go on with it: then the log says so, and what was signed of events that are gone is forgotten.
 */
import { type Disk, equalBytes, VerityError } from '../base/index.ts';
import type { Command } from '../kernel/index.ts';
import { parseCheckpoint, parseNote, toBase64 } from '../proof/index.ts';
import { CheckpointNotes, checkpointsPath, type SigningIntent } from './checkpoint-notes.ts';
import type { LogTree } from './log-tree.ts';

/** The setting that lists states of the log that were signed, or cosigned, and that somebody decided to go on without. */
export const rollbackSetting = 'rollback-accepted';

/** So many leaves that the tree lacks are hashed while the database is opened. */
const comparedAtOpenMax = 65_536;

interface AcceptedRollback {
  readonly size: number;
  /** Base64. */
  readonly root: string;
}

export interface SignedBeforeParts {
  readonly notes: CheckpointNotes;
  readonly tree: LogTree;
  readonly origin: string;
  /** Events of the log. */
  readonly leafCount: () => number;
  /** The value of a setting of the database. */
  readonly setting: (name: string) => unknown;
}

export class SignedBefore {
  readonly #parts: SignedBeforeParts;

  constructor(parts: SignedBeforeParts) {
    this.#parts = parts;
  }

  /**
   * For an owner that opens the database. Throws LOG_ROLLED_BACK when what was signed last is not of this log, unless that is
   * accepted, now or before. A tree that must be made anew is not waited for: it is compared before anything is signed.
   */
  async check(isAccepted: boolean, submit: (command: Command) => Promise<unknown>): Promise<void> {
    const { notes, tree } = this.#parts;
    const { intent } = notes;
    if (intent === undefined) return;
    const leafCount = this.#parts.leafCount();
    const isThere = intent.size <= leafCount;
    if (isThere && !isAccepted && leafCount - tree.size > comparedAtOpenMax) return;
    if (isThere) await tree.catchUp();
    if (this.#isOfLog(intent)) return;
    if (!this.#isAccepted(intent)) {
      if (!isAccepted) throw rolledBack(intent, leafCount);
      await this.#accept(intent, leafCount, submit);
    }
    await tree.catchUp();
    notes.keepOnly((note) => {
      const { size, root } = parseCheckpoint(parseNote(note).text);
      return size <= leafCount && equalBytes(tree.root(size), root);
    });
  }

  /** What is wrong with the log if it is not what was signed last, and nobody accepted that. The tree is current. */
  get contradiction(): VerityError | undefined {
    const { intent } = this.#parts.notes;
    if (intent === undefined || this.#isOfLog(intent) || this.#isAccepted(intent)) return undefined;
    return rolledBack(intent, this.#parts.leafCount());
  }

  /** Whether a note of this size, whose record the log has, may be of a log that was given up; the tree is asked if so. */
  isOfOtherLog({ size, root }: SigningIntent): boolean {
    return this.#accepted.length > 0 && !equalBytes(this.#parts.tree.root(size), root);
  }

  #isOfLog({ size, root }: SigningIntent): boolean {
    return size <= this.#parts.leafCount() && equalBytes(this.#parts.tree.root(size), root);
  }

  #isAccepted(intent: SigningIntent): boolean {
    return isIn(this.#accepted, intent);
  }

  async #accept(
    { size, root }: SigningIntent,
    leaves: number,
    submit: (command: Command) => Promise<unknown>,
  ): Promise<void> {
    const accepted = { witness: this.#parts.origin, size, root: toBase64(root), leaves };
    const value = [...this.#accepted, accepted];
    await submit({ kind: 'changeSetting', name: rollbackSetting, value, origin: {} });
  }

  get #accepted(): readonly AcceptedRollback[] {
    return acceptedIn(this.#parts.setting);
  }
}

/**
 * For an owner, before the end of the log is put in order: what is cut or appended there might be missing in a copy that the
 * log is to be extended from. Throws LOG_ROLLED_BACK if the log has fewer events than what was signed last, and nobody accepted that.
 */
export function checkNothingMissing(
  disk: Disk,
  {
    leafCount,
    setting,
  }: { readonly leafCount: number; readonly setting: SignedBeforeParts['setting'] },
): void {
  const notes = new CheckpointNotes(disk, false);
  const { intent } = notes;
  notes.close();
  if (intent === undefined || intent.size <= leafCount) return;
  if (!isIn(acceptedIn(setting), intent)) throw rolledBack(intent, leafCount);
}

const acceptedIn = (setting: SignedBeforeParts['setting']): readonly AcceptedRollback[] =>
  (setting(rollbackSetting) ?? []) as AcceptedRollback[];

function isIn(accepted: readonly AcceptedRollback[], { size, root }: SigningIntent): boolean {
  const text = toBase64(root);
  return accepted.some((one) => one.size === size && one.root === text);
}

function rolledBack({ size }: SigningIntent, leafCount: number): VerityError {
  const what =
    size > leafCount
      ? `The log has ${leafCount} events, and a checkpoint of ${size} was signed: what came since is missing. `
      : `The checkpoint of ${size} events that was signed last is not one of this log, which has others. `;
  return new VerityError(
    'LOG_ROLLED_BACK',
    `${what}Restore the log from a newer copy (verity repair --from COPY --extend). To go on with what is here, and have the ` +
      'log say so, open it with --accept-rollback. It can be read with readOnly.',
    { details: { file: checkpointsPath, size, events: leafCount } },
  );
}
