import { VerityError } from '../base/index.ts';
import { constantTimeEqual, type MasterKeyProvider, type UnwrappedRoot } from '../crypto/index.ts';
import type { Engine, EngineHost } from '../engine/index.ts';
import { KeyWatch } from '../keys/index.ts';
import type { OpenOptions, Status } from './types.ts';
import { warnWith } from './warnings.ts';

const graceMsDefault = 3_600_000;
/** The longest delay of a timer in Node. */
const delayMsMax = 2 ** 31 - 1;

/** The key provider of an open database, and the watch over it if there is one. */
export class KeyAccess {
  /** The one that opens the keyring now: another after a rotation to another provider. */
  provider: MasterKeyProvider;
  readonly #watch: KeyWatch | undefined;
  #changes = 0;
  #isChanging = false;

  constructor(
    provider: MasterKeyProvider,
    engine: Engine,
    scheduler: EngineHost['scheduler'],
    options: OpenOptions,
  ) {
    this.provider = provider;
    const times = keyCheckTimes(options);
    if (times === undefined) return;
    const watch = new KeyWatch({
      ...times,
      scheduler,
      check: () => this.#check(engine),
      warn: (warning) => warnWith(options.onWarning, warning, 'VERITY_KEY_PROVIDER'),
    });
    this.#watch = watch;
    engine.admission = () => watch.admit();
  }

  /** For status; undefined without a watch. */
  get state(): Status['keyProvider'] {
    if (this.#watch === undefined) return undefined;
    const { lastFailure, isRefusing } = this.#watch.state;
    return { lastFailure, refusing: isRefusing };
  }

  stop(): void {
    this.#watch?.stop();
  }

  /** Runs a rotation; checks meanwhile, which would see half of it, say nothing. */
  async whileChanging<T>(change: () => Promise<T>): Promise<T> {
    this.#changes += 1;
    this.#isChanging = true;
    try {
      return await change();
    } finally {
      this.#isChanging = false;
    }
  }

  /** Whether the key was confirmed; false where it was changed meanwhile, so that the answer means nothing. */
  async #check(engine: Engine): Promise<boolean> {
    // A follower learns from the owner's log that the keyring was replaced.
    engine.catchUp();
    const changes = this.#changes;
    const { keyring } = engine.hierarchy;
    const isStale = (): boolean => this.#isChanging || this.#changes !== changes || engine.closed;
    if (isStale()) return false;
    let opened: UnwrappedRoot | undefined;
    try {
      opened = await this.provider.unwrap(keyring.slots, keyring, { background: true });
      if (isStale()) return false;
      const root = opened?.root.expose();
      if (root !== undefined && constantTimeEqual(root, engine.hierarchy.root.expose()))
        return true;
    } catch (error) {
      if (isStale()) return false;
      throw error;
    } finally {
      opened?.root.wipe();
    }
    throw new VerityError('WRONG_KEY', 'The key provider does not open the keyring any more.');
  }
}

/** Says what was opened with `acceptForeign`, or that it is not needed any more: with it, forgeries open. */
export function warnOfForeignSlot(
  opened: {
    readonly engine: Engine;
    readonly provider: MasterKeyProvider;
    /** The database's directory. */
    readonly root: string;
  },
  onWarning: OpenOptions['onWarning'],
): void {
  const { engine, provider, root } = opened;
  if (provider.describe().parameters['acceptForeign'] !== true) return;
  const { renewedSlot } = engine.hierarchy;
  const marked = engine.readOnly
    ? 'It was only read, so the next open needs acceptForeign again.'
    : 'It carries the mark of your key pair now, so leave acceptForeign out from now on, and rotate the master key to ' +
      'shut out whoever locked it.';
  const message =
    renewedSlot === undefined
      ? `The database in ${root} opens without acceptForeign. Leave it out: with it, one that anybody made with your ` +
        'public key opens in its place.'
      : `The database in ${root} was locked with your public key alone (slot ${renewedSlot.id}), and whoever did that ` +
        `knows its keys. ${marked}`;
  warnWith(onWarning, message, 'VERITY_FOREIGN_KEY_SLOT');
}

/** The times of the watch; undefined where none is asked for. Throws INVALID_ARGUMENT. */
export function keyCheckTimes(
  options: OpenOptions,
): { readonly everyMs: number; readonly graceMs: number } | undefined {
  const { masterKeyCheckEveryMs: everyMs, masterKeyGraceMs } = options;
  if (everyMs === undefined && masterKeyGraceMs === undefined) return undefined;
  const graceMs = masterKeyGraceMs ?? graceMsDefault;
  const isTime = (value: unknown): boolean =>
    Number.isSafeInteger(value) && Number(value) > 0 && Number(value) <= delayMsMax;
  if (everyMs !== undefined && isTime(everyMs) && isTime(graceMs) && graceMs >= everyMs) {
    return { everyMs, graceMs };
  }
  throw new VerityError(
    'INVALID_ARGUMENT',
    'masterKeyCheckEveryMs and masterKeyGraceMs are whole milliseconds, and the second (one hour unless given) is not ' +
      'less than the first. Leave both out to check the master key at open only.',
  );
}
