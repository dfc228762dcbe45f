import { assert, type LeafIndex } from '../base/index.ts';
import type { SegmentAudit } from './segment-job.ts';

const commitmentBytes = 32;

/** The commitments of all events of a log, by leaf index, as its segments have them. */
export class SegmentCommitments {
  readonly #segments: { readonly first: number; readonly commitments: Uint8Array }[] = [];
  #count = 0;

  /** Segments that follow each other from the beginning of the log on. */
  constructor(segments: readonly Pick<SegmentAudit, 'commitments'>[]) {
    for (const { commitments } of segments) {
      if (commitments.length === 0) continue;
      this.#segments.push({ first: this.#count, commitments });
      this.#count += commitments.length / commitmentBytes;
    }
  }

  get count(): number {
    return this.#count;
  }

  /** A copy of those from `first` to before `end`. */
  range(first: LeafIndex, end: number): Uint8Array {
    const copy = new Uint8Array((end - first) * commitmentBytes);
    for (let leaf = first; leaf < end;) {
      const { from, commitments } = this.#place(leaf);
      const count = Math.min(end - leaf, (commitments.length - from) / commitmentBytes);
      copy.set(
        commitments.subarray(from, from + count * commitmentBytes),
        (leaf - first) * commitmentBytes,
      );
      leaf = (leaf + count) as LeafIndex;
    }
    return copy;
  }

  at(leaf: LeafIndex): Uint8Array {
    const { from, commitments } = this.#place(leaf);
    return commitments.subarray(from, from + commitmentBytes);
  }

  /** The segment that has a leaf, and where in its commitments. */
  #place(leaf: LeafIndex): { readonly from: number; readonly commitments: Uint8Array } {
    assert(leaf < this.#count, 'the log has the leaf');
    let low = 0;
    let high = this.#segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#segments[middle]?.first ?? 0) <= leaf) low = middle;
      else high = middle - 1;
    }
    const { first = 0, commitments = new Uint8Array() } = this.#segments[low] ?? {};
    return { from: (leaf - first) * commitmentBytes, commitments };
  }
}
