/** One file a golden database: a line of JSON with names and lengths, then the files' bytes. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';
import { concatBytes, utf8Decode, utf8Encode } from '../../src/base/index.ts';
import type { Image } from './golden-load.ts';

const lineFeed = 10;

export function pathOf(revision: number, name: string): string {
  return fileURLToPath(new URL(`golden/revision-${revision}/${name}`, import.meta.url));
}

export function packImage(image: Image): Uint8Array {
  const files = [...image].toSorted(([left], [right]) => (left < right ? -1 : 1));
  const index = JSON.stringify(files.map(([path, bytes]) => [path, bytes.length]));
  return concatBytes(utf8Encode(`${index}\n`), ...files.map(([, bytes]) => bytes));
}

export function readImage(path: string): Image {
  const bytes = new Uint8Array(readFileSync(path));
  const end = bytes.indexOf(lineFeed);
  const index = JSON.parse(utf8Decode(bytes.subarray(0, end))) as [string, number][];
  let offset = end + 1;
  return new Map(
    index.map(([file, length]) => [file, bytes.slice(offset, (offset += length))] as const),
  );
}

/** What a golden database must yield. */
export interface Expected {
  readonly chainHash: string;
  readonly contents: unknown;
  /** Of the keys of data subjects, where there are any. */
  readonly subjects?: readonly string[] | undefined;
  /** Of a log with checkpoints. */
  readonly proofs?: GoldenProofs | undefined;
}

export interface GoldenProofs {
  readonly origin: string;
  /** Of all signing keys, the oldest first. */
  readonly vkeys: readonly string[];
  /** Signed checkpoints, the oldest first. */
  readonly notes: readonly string[];
}

/** JSON, compressed with Brotli: `brotli -dc FILE` shows it. */
export function writeExpected(path: string, expected: Expected): void {
  writeFileSync(path, brotliCompressSync(JSON.stringify(expected, undefined, 2)));
}

export function readExpected(path: string): Expected {
  return JSON.parse(brotliDecompressSync(readFileSync(path)).toString()) as Expected;
}

/** SHA-256 of each file but those of the store, which depend on when pages are written and split. */
export function digestsOf(image: Image): Record<string, string> {
  const kept = [...image].filter(([path]) => !path.startsWith('store/'));
  const files = kept.toSorted(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(
    files.map(([path, bytes]) => [path, createHash('sha256').update(bytes).digest('hex')]),
  );
}
