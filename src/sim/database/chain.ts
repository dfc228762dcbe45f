/** The chain of the log as it lies on the disk, against what was seen of it before. */
import { fromHex, type LogId, toHex } from '../../base/index.ts';
import { emptyLogHead, isSegmentName, segmentHeaderBytes, walkSegment } from '../../log/index.ts';
import type { Tally } from '../tally.ts';
import { Violation } from '../violation.ts';

interface Seen {
  readonly chainHash: string;
  /** When: lines of the trace by then. */
  readonly line: number;
}

/**
 * Remembers the chain hash of every frame that was durable once. No later log may have another one there, or end
 * before it.
 */
export class ChainWitness {
  readonly #seen = new Map<number, Seen>();
  #newest = 0;

  /** A handle says that its newest frame has this hash. */
  saw(op: number, chainHash: string, line: number): void {
    const before = this.#seen.get(op);
    if (before !== undefined && before.chainHash !== chainHash) {
      throw new Violation(
        'chain',
        `frame ${op} had chain hash ${before.chainHash}, now ${chainHash}`,
      );
    }
    if (op > 0) this.#seen.set(op, before ?? { chainHash, line });
    this.#newest = Math.max(this.#newest, op);
  }

  /** Walks the whole log of `image` and holds each frame against what was seen; remembers the new ones. */
  check(
    image: ReadonlyMap<string, Uint8Array>,
    at: {
      readonly logId: string;
      readonly line: number;
      /** The newest frame that is known to be durable; what memory holds of later ones may be lost. */
      readonly durable: number;
      readonly checks: Tally;
    },
  ): void {
    const newest = walkFrames(image, at.logId, ({ op, chainHash }) => {
      if (op <= at.durable) this.saw(op, chainHash, at.line);
      at.checks.add('chain');
    });
    if (newest < this.#newest) {
      throw new Violation(
        'chain',
        `the log ends at frame ${newest}; frame ${this.#newest} was there`,
      );
    }
  }

  /** Holds each frame of a copy against what was seen of the log; returns the newest. */
  checkCopy(image: ReadonlyMap<string, Uint8Array>, logId: string): number {
    return walkFrames(image, logId, ({ op, chainHash }) => {
      const seen = this.#seen.get(op);
      if (seen === undefined || seen.chainHash === chainHash) return;
      throw new Violation(
        'chain',
        `frame ${op} of a copy has chain hash ${chainHash}, not ${seen.chainHash}`,
      );
    });
  }

  /** Takes back what was seen after line `line` of the trace: the disk had lied. */
  forgetAfter(line: number): void {
    for (const [op, seen] of this.#seen) if (seen.line > line) this.#seen.delete(op);
    this.#newest = Math.max(0, ...this.#seen.keys());
  }
}

export interface SeenFrame {
  readonly path: string;
  /** Where it begins in its file, and where what follows it begins. */
  readonly offset: number;
  readonly end: number;
  readonly op: number;
  readonly chainHash: string;
  /** The last position up to here. */
  readonly position: number;
  readonly leaves: Uint8Array;
}

/** Walks a log and shows each frame to `look`; returns the newest op. Throws Violation where the log is damaged. */
export function walkFrames(
  image: ReadonlyMap<string, Uint8Array>,
  logId: string,
  look: (frame: SeenFrame) => void,
): number {
  let head = emptyLogHead(fromHex(logId) as Uint8Array as LogId);
  const paths = [...image.keys()].filter((path) => isSegmentPath(path));
  for (const path of paths.toSorted()) {
    const bytes = image.get(path) as Uint8Array;
    const walked = walkSegment(
      { bytes, offset: segmentHeaderBytes, head, last: true },
      (frame, offset, after) => {
        const end = offset + frame.header.frameLength;
        const { op, position } = after;
        const chainHash = toHex(after.chainHash);
        look({ path, offset, end, op, chainHash, position, leaves: frame.leaves });
        return undefined;
      },
    );
    head = walked.head;
    if (walked.end.kind === 'damaged') {
      const { what, offset } = walked.end.problem;
      throw new Violation('chain', `${path}: ${what} at ${offset}`);
    }
  }
  return head.op;
}

function isSegmentPath(path: string): boolean {
  return path.startsWith('log/') && isSegmentName(path.slice('log/'.length));
}
