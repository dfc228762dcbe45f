import { assert, type Op, type Position, type TimestampMicros } from '../base/index.ts';

/** A frame from which reading can start. */
export interface LogPlace {
  readonly path: string;
  readonly offset: number;
  /** Op of the frame there: who reads there checks it. */
  readonly op: Op;
  /** First position of the frame there (or the next position, if it has no events). */
  readonly position: Position;
  readonly timestamp: TimestampMicros;
}

const spacingBytes = 64 << 10;
/** Places of one record of a checkpoint: 432 bytes, which lie in a leaf. */
export const placesPerRecord = 12;
/** Positions whose places are found by one look and, from there, by at most so many steps. */
const blockPositions = 256;

/**
 * A sparse index of the log, derived while frames are read or written: one place each 64 KiB and each segment.
 * A position is found in constant time: for each block of positions the index knows the last place at or before it.
 */
export class LogIndex {
  readonly #places: LogPlace[] = [];
  /** By block: the number of the last place whose position is not beyond the block's first. */
  readonly #blocks: number[] = [];

  add(place: LogPlace): void {
    const places = this.#places;
    const last = places.at(-1);
    if (last !== undefined && last.path === place.path && place.offset - last.offset < spacingBytes)
      return;
    this.#push(place);
  }

  /** Goes on from the places that a checkpoint kept: all that there were, in order. */
  restore(places: Iterable<LogPlace>): void {
    assert(this.#places.length === 0, 'an index is restored before anything is added');
    for (const place of places) this.#push(place);
  }

  get size(): number {
    return this.#places.length;
  }

  /** Place `number`, from 0. */
  place(number: number): LogPlace {
    const place = this.#places[number];
    assert(place !== undefined, 'the index has that many places');
    return place;
  }

  /** The places of one record of a checkpoint. */
  record(number: number): readonly LogPlace[] {
    return this.#places.slice(number * placesPerRecord, (number + 1) * placesPerRecord);
  }

  /** The first and the last place of every segment, in order. */
  *segments(): Generator<{ readonly first: LogPlace; readonly last: LogPlace }, void> {
    let first = this.#places[0];
    let last = first;
    for (const place of this.#places) {
      if (first !== undefined && last !== undefined && place.path !== first.path) {
        yield { first, last };
        first = place;
      }
      last = place;
    }
    if (first !== undefined && last !== undefined) yield { first, last };
  }

  #push(place: LogPlace): void {
    const places = this.#places;
    // Blocks that begin before this place are those of the place before it.
    while (this.#blocks.length * blockPositions < place.position)
      this.#blocks.push(Math.max(0, places.length - 1));
    places.push(place);
  }

  /** The last place at or before `position`; undefined while the log is empty. */
  before(position: Position): LogPlace | undefined {
    const places = this.#places;
    const block = Math.floor(position / blockPositions);
    // Beyond the last block that is filled lies no place but the last ones.
    let number = this.#blocks[Math.min(block, this.#blocks.length - 1)] ?? 0;
    for (let next = places[number + 1]; next !== undefined; next = places[number + 1]) {
      if (next.position > position) break;
      number += 1;
    }
    return places[number];
  }

  /** The last place whose frame is not newer than `time`. */
  beforeTime(time: number): LogPlace | undefined {
    let low = 0;
    let high = this.#places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#places[middle] as LogPlace).timestamp <= time) low = middle + 1;
      else high = middle;
    }
    return this.#places[low - 1] ?? this.#places[0];
  }

  get first(): LogPlace | undefined {
    return this.#places[0];
  }
}
