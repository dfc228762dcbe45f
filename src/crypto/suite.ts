import { type Algorithm, algorithmId, isAlgorithmId } from './aead.ts';

/** How sections are compressed before they are sealed, by the number that stands in every frame header. */
const compressionIds = { none: 0, brotli: 1 } as const;
export type Compression = keyof typeof compressionIds;

/** What a database does to a section before it is written: chosen once, at creation. */
export interface SealingSuite {
  readonly algorithm: Algorithm;
  readonly compression: Compression;
}

/** The kind of the provider, and of its slot, that asks for plain mode. */
export const plainProviderKind = 'none';

export const defaultSuite: SealingSuite = { algorithm: 'aes-256-gcm', compression: 'none' };

export function compressionId(compression: Compression): number {
  return compressionIds[compression];
}

/** The compression of a name from outside, or undefined if there is none. */
export function parseCompression(name: unknown): Compression | undefined {
  return typeof name === 'string' && Object.hasOwn(compressionIds, name)
    ? (name as Compression)
    : undefined;
}

const knownIds = new Set<number>(Object.values(compressionIds));

/** Whether this version reads frames whose header names these numbers. */
export function isKnownSuite(ids: { algorithm: number; compression: number }): boolean {
  return isAlgorithmId(ids.algorithm) && knownIds.has(ids.compression);
}

/** A suite's numbers in a frame header. */
export function suiteIds({ algorithm, compression }: SealingSuite): {
  readonly algorithm: number;
  readonly compression: number;
} {
  return { algorithm: algorithmId(algorithm), compression: compressionId(compression) };
}
