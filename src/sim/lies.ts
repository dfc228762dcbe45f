/**
 * Writes that the disk acknowledges, flush and all, and puts nowhere or in the wrong place. A database cannot know
 * of one until something durable rests on it; from then on it must notice. `stage` says how far that has got.
 */
import type { FileNode } from './file-node.ts';

export type LieStage =
  /** No flush has covered the write: a crash may lose it anyway. */
  | 'written'
  /** A flush has said that the write is durable; nothing written since knows that. */
  | 'flushed'
  /** A frame or an anchor was written after that flush. */
  | 'followed'
  /** And is durable: whoever reads the log can know that the write is missing. */
  | 'proven';

export interface Lie {
  readonly path: string;
  /** The file that lacks the write. */
  readonly node: FileNode;
  /** Where the bytes went instead; absent: nowhere. */
  readonly target:
    | { readonly path: string; readonly node: FileNode; readonly offset: number }
    | undefined;
  stage: LieStage;
}

interface Watched {
  readonly lie: Lie;
  /** The write whose flush takes the lie to its next stage. */
  node: FileNode;
  sequence: number;
}

/** Follows every lie of a disk from stage to stage. */
export class Lies {
  readonly #watched: Watched[] = [];

  get all(): readonly Lie[] {
    return this.#watched.map(({ lie }) => lie);
  }

  told(lie: Lie, node: FileNode): void {
    this.#watched.push({ lie, node, sequence: node.sequence });
  }

  /** Something was written that may rest on what was flushed before. */
  wrote(node: FileNode): void {
    for (const watched of this.#watched) {
      if (watched.lie.stage !== 'flushed') continue;
      watched.lie.stage = 'followed';
      watched.node = node;
      watched.sequence = node.sequence;
    }
  }

  /** A flush of `node` says that changes up to number `through` are durable. */
  flushed(node: FileNode, through: number): void {
    for (const watched of this.#watched) {
      if (watched.node !== node || watched.sequence > through) continue;
      if (watched.lie.stage === 'written') watched.lie.stage = 'flushed';
      else if (watched.lie.stage === 'followed') watched.lie.stage = 'proven';
    }
  }
}
