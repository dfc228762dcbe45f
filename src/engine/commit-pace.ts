import { limits } from '../base/index.ts';

/**
 * When frames are cut, and where they are flushed.
 *
 * A flush costs the same for one command and for a thousand. Few writers are served fastest by a flush on the
 * calling turn: handing it to another thread and back costs them more than it frees. Of many, one half
 * decides its next commands while the other half's frame is flushed in the background; that takes a frame
 * which is cut when half of those who wait are in it, or all of them would land in one.
 */

export interface PaceSettings {
  /** Up to so many writers are flushed on the calling turn. */
  readonly writersOnTurnMax: number;
  /** A frame of fewer commands is not cut off while others still decide: sealing it costs more than waiting. */
  readonly cutCommandsMin: number;
  /** A frame is cut when it has gathered this much, so that memory and the time to seal it stay bounded. */
  readonly frameBytesTarget: number;
  /** Commands that may wait, undecided, when that is full and two frames are on their way. */
  readonly commandsWaitingMax: number;
}

export const defaultPace: PaceSettings = {
  writersOnTurnMax: 31,
  cutCommandsMin: 16,
  frameBytesTarget: 512 << 10,
  commandsWaitingMax: limits.commandsWaitingMax,
};

/** Flushes that take longer than this, on average, block the event loop for longer than another thread costs. */
const slowFlushMicros = 2_000;
/** One flush counts for no more than this, and each for an eighth: a single slow one is an accident of the disk. */
const flushMicrosMax = 4 * slowFlushMicros;
/** After so many quick flushes in a row the event loop gets its turn. */
const answersOnTurnMax = 4;
const quickFlushMicros = 500;
/** When they are slow so many go to the background before one is tried on the turn again. */
const flushesAfterSlow = 128;

export class CommitPace {
  readonly #settings: PaceSettings;
  /** How many commands waited at once of late: follows a rise at once and a fall slowly. */
  #writers = 1;
  #afterSlow = 0;
  /** Moving average of the flushes on the turn. */
  #flushMicros = 0;
  #answersOnTurn = 0;

  constructor(settings: PaceSettings) {
    this.#settings = settings;
  }

  /** A frame goes out; `waiting` commands are now in frames that are not durable. */
  launched(waiting: number): void {
    const decayed = this.#writers - Math.ceil(this.#writers / 8);
    this.#writers = Math.max(waiting, decayed, 1);
  }

  /** A frame of so many commands is cut off though others may still decide in this turn. */
  get cutCommands(): number {
    const { writersOnTurnMax, cutCommandsMin } = this.#settings;
    // Nothing overlaps with a flush that is waited for.
    if (this.#writers <= writersOnTurnMax) return Number.POSITIVE_INFINITY;
    return Math.max(cutCommandsMin, Math.ceil(this.#writers / 2));
  }

  /** Whether the next flush is waited for on the calling turn. */
  takeTurn(): boolean {
    if (this.#writers > this.#settings.writersOnTurnMax) return false;
    if (this.#afterSlow === 0) return true;
    this.#afterSlow -= 1;
    return false;
  }

  /**
   * A flush on the calling turn took so long, in microseconds. Whether its commands are answered on that turn, too:
   * a loop of microtasks alone would starve timers and sockets, but a few rounds of it hurt nobody.
   */
  answersOnTurn(micros: number): boolean {
    this.#flushMicros += (Math.min(Math.max(micros, 0), flushMicrosMax) - this.#flushMicros) / 8;
    if (this.#flushMicros > slowFlushMicros) {
      this.#afterSlow = flushesAfterSlow;
      this.#flushMicros = 0;
    }
    this.#answersOnTurn += 1;
    return micros <= quickFlushMicros && this.#answersOnTurn <= answersOnTurnMax;
  }

  /** The event loop has turned. */
  turnEnded(): void {
    this.#answersOnTurn = 0;
  }
}
