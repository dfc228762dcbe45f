import type { Op, Position, TimestampMicros } from '../base/index.ts';

/** A frame from which reading can start. */
export interface LogPlace {
  readonly path: string;
  readonly offset: number;
  /** Op of the frame there. */
  readonly op: Op;
  /** First position of the frame there (or the next position, if it has no events). */
  readonly position: Position;
  readonly timestamp: TimestampMicros;
}

const spacingBytes = 64 << 10;

/** A sparse index of the log, derived while frames are read or written: one place each 64 KiB and each segment. */
export class LogIndex {
  readonly #places: LogPlace[] = [];

  add(place: LogPlace): void {
    const last = this.#places.at(-1);
    if (last !== undefined && last.path === place.path && place.offset - last.offset < spacingBytes)
      return;
    this.#places.push(place);
  }

  /** The last place at or before `position`; undefined while the log is empty. */
  before(position: Position): LogPlace | undefined {
    return this.#find((place) => place.position <= position);
  }

  /** The last place whose frame is not newer than `time`. */
  beforeTime(time: number): LogPlace | undefined {
    return this.#find((place) => place.timestamp <= time);
  }

  get first(): LogPlace | undefined {
    return this.#places[0];
  }

  #find(reached: (place: LogPlace) => boolean): LogPlace | undefined {
    let low = 0;
    let high = this.#places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (reached(this.#places[middle] as LogPlace)) low = middle + 1;
      else high = middle;
    }
    return this.#places[low - 1] ?? this.#places[0];
  }
}
