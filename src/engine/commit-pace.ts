import { limits } from '../base/index.ts';

/**
 * When frames are cut, and where they are flushed.
 *
 * A flush costs the same for one command and for a thousand. Few writers are served fastest by a flush on the
 * calling turn: handing it to another thread and back costs them more than it frees. Of many, one half
 * decides its next commands while the other half's frame is flushed in the background; that takes a frame
 * which is cut when half of those who wait are in it, or all of them would land in one. Two frames for one
 * and the hand-over cost each of them something, so that it pays only where a flush takes longer than that.
 */

export interface PaceSettings {
  /** Up to so many writers are flushed on the calling turn. */
  readonly writersOnTurnMax: number;
  /** More are flushed in the background if a flush takes longer than so many microseconds for each; 0: in any case. */
  readonly overlapMicrosPerWriter: number;
  /** A frame of fewer commands is not cut off while others still decide: sealing it costs more than waiting. */
  readonly cutCommandsMin: number;
  /** A frame is cut when it has gathered this much, so that memory and the time to seal it stay bounded. */
  readonly frameBytesTarget: number;
  /** Commands that may wait, undecided, when that is full and two frames are on their way. */
  readonly commandsWaitingMax: number;
  /** What the values of all of them may take. */
  readonly bytesWaitingMax: number;
}

export const defaultPace: PaceSettings = {
  writersOnTurnMax: 31,
  overlapMicrosPerWriter: 2.5,
  cutCommandsMin: 16,
  frameBytesTarget: 512 << 10,
  commandsWaitingMax: limits.commandsWaitingMax,
  bytesWaitingMax: limits.commandsWaitingBytesMax,
};

/** If half of the flushes take longer than this, they block the event loop for longer than another thread costs. */
const slowFlushMicros = 2_000;
/** One flush counts for no more than this in the average: a single slow one is an accident of the disk. */
const flushMicrosMax = 4 * slowFlushMicros;
/** After so many quick flushes in a row the event loop gets its turn. */
const answersOnTurnMax = 4;
const quickFlushMicros = 500;
/** After so many in the background one is tried on the turn, to see what a flush takes now. */
const flushesPerTrial = 128;

export class CommitPace {
  readonly #settings: PaceSettings;
  /** How many commands waited at once of late: follows a rise at once and a fall slowly. */
  #writers = 1;
  /** Moving average of the flushes on the turn: what they take from the throughput of many. 0 before the first. */
  #meanMicros = 0;
  /** Moving median of them: what one of them mostly takes, whatever others do to the disk now and then. */
  #medianMicros = 0;
  /** Flushes in the background since one was on the turn. */
  #inBackground = 0;
  #answersOnTurn = 0;
  /** Whether flushes go to the background because that pays for so many writers. */
  #overlaps = false;
  #cutCommands = Number.POSITIVE_INFINITY;

  constructor(settings: PaceSettings) {
    this.#settings = settings;
  }

  /** A frame goes out; `waiting` commands are now in frames that are not durable. */
  launched(waiting: number): void {
    const decayed = this.#writers - Math.ceil(this.#writers / 8);
    this.#writers = Math.max(waiting, decayed, 1);
    this.#look();
  }

  /** A frame of so many commands is cut off though others may still decide in this turn. */
  get cutCommands(): number {
    return this.#cutCommands;
  }

  /** Whether the next flush, which this call counts, is waited for on the calling turn. */
  takeTurn(): boolean {
    if (!this.#overlaps && this.#medianMicros <= slowFlushMicros) return true;
    const isSettled = this.#overlaps && this.#settings.overlapMicrosPerWriter === 0;
    if (!isSettled && this.#inBackground === flushesPerTrial) return true;
    this.#inBackground += 1;
    return false;
  }

  /**
   * A flush on the calling turn took so long, in microseconds. Whether its commands are answered on that turn, too:
   * a loop of microtasks alone would starve timers and sockets, but a few rounds of it hurt nobody.
   */
  answersOnTurn(micros: number): boolean {
    this.#count(Math.min(Math.max(micros, 1), flushMicrosMax));
    this.#look();
    this.#answersOnTurn += 1;
    return micros <= quickFlushMicros && this.#answersOnTurn <= answersOnTurnMax;
  }

  /** The event loop has turned. */
  turnEnded(): void {
    this.#answersOnTurn = 0;
  }

  #count(sample: number): void {
    if (this.#medianMicros === 0) {
      this.#meanMicros = sample;
      this.#medianMicros = sample;
      return;
    }
    // A trial stands for many flushes.
    const part = this.#inBackground > 0 ? 2 : 8;
    this.#inBackground = 0;
    this.#meanMicros += (sample - this.#meanMicros) / part;
    // A step up or down with each: where as many go up as down is the median.
    const step = 1 + 1 / part;
    if (sample > this.#medianMicros)
      this.#medianMicros = Math.min(sample, this.#medianMicros * step);
    else this.#medianMicros = Math.max(sample, this.#medianMicros / step);
  }

  #look(): void {
    const { writersOnTurnMax, overlapMicrosPerWriter, cutCommandsMin } = this.#settings;
    const pays =
      overlapMicrosPerWriter === 0 || this.#meanMicros > overlapMicrosPerWriter * this.#writers;
    this.#overlaps = pays && this.#writers > writersOnTurnMax;
    // Nothing overlaps with a flush that is waited for.
    this.#cutCommands = this.#overlaps
      ? Math.max(cutCommandsMin, Math.ceil(this.#writers / 2))
      : Number.POSITIVE_INFINITY;
  }
}
