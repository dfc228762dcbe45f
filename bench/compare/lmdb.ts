/** LMDB, not encrypted: what a memory-mapped tree gives that neither seals nor parses anything. */
import { join } from 'node:path';
import { rowsInBatches } from './ours.ts';
import { loadPeer, versionOf } from './peers.ts';

interface Tree {
  get(key: string): unknown;
  transactionSync(work: () => void): unknown;
  putSync(key: string, value: unknown): unknown;
  getStats(): { readonly entryCount: number };
  close(): Promise<unknown>;
}
interface LmdbModule {
  open(options: { readonly path: string; readonly sharedStructuresKey: symbol }): Tree;
}

/** A row as an object under its key, encoded as the package does by default, with shared structures. */
export class Lmdb {
  readonly details = { driver: `lmdb ${versionOf('lmdb')}`, encryption: 'none' };
  readonly #tree: Tree;

  private constructor(tree: Tree) {
    this.#tree = tree;
  }

  static open(folder: string): Lmdb | Error {
    const module = loadPeer<LmdbModule>('lmdb', (lmdb) => {
      if (!('open' in lmdb)) throw new Error('lmdb has no function open.');
    });
    if (module instanceof Error) return module;
    const path = join(folder, 'lmdb');
    return new Lmdb(module.open({ path, sharedStructuresKey: Symbol.for('structures') }));
  }

  load(seed: number, count: number): void {
    this.#tree.transactionSync(() => {
      for (const rows of rowsInBatches(seed, count)) {
        for (const [id, patient, duration, seen, cost] of rows)
          this.#tree.putSync(id, { id, patient, duration, seen, cost });
      }
    });
  }

  get(key: string): unknown {
    return this.#tree.get(key);
  }

  async close(): Promise<void> {
    await this.#tree.close();
  }
}
