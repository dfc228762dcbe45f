/** What an audit that was interrupted had found out, as lines that only the holder of the key could write. */
import { fromHex, type LogId, type Position, toHex, utf8Encode } from '../base/index.ts';
import { constantTimeEqual, deriveKey, hmac, pae, type SecretKey } from '../crypto/index.ts';
import type { KeyHierarchy } from '../engine/index.ts';
import type { SeenCheckpoint, SegmentAudit, SegmentJob } from './segment-job.ts';

const purpose = 'veritydb/audit-state/v1';

/** Lines of before, and where further ones go. */
export interface AuditNotebook {
  readonly lines: readonly string[];
  readonly append: (line: string) => void;
}

/** A segment that was good, of the file with this digest. */
interface GoodSegment {
  readonly path: string;
  readonly digest: string;
  readonly generation: number;
  readonly changedAt: number;
  readonly checkpoints: readonly (readonly [
    leaf: number,
    size: number,
    root: string,
    covered: number,
    chainHash: string,
    keyNumber: number,
    fits: boolean | null,
    statePosition: number | null,
    stateHash: string | null,
  ])[];
}

/** Segments whose events need not be opened again. Lines that are not ours, or not of this log, are none. */
export class AuditMemory {
  readonly #key: SecretKey;
  readonly #logId: LogId;
  readonly #notebook: AuditNotebook;
  readonly #segments = new Map<string, NonNullable<SegmentJob['before']>>();

  constructor(hierarchy: KeyHierarchy, notebook: AuditNotebook) {
    this.#key = deriveKey(hierarchy.root, purpose);
    this.#logId = hierarchy.keyring.logId;
    this.#notebook = notebook;
    for (const line of notebook.lines) this.#read(line);
  }

  get size(): number {
    return this.#segments.size;
  }

  before(path: string): SegmentJob['before'] {
    return this.#segments.get(path);
  }

  /** Keeps what was found, if it was good. */
  note({ path, digest, damages, facts }: SegmentAudit): void {
    if (damages.length > 0 || this.#segments.has(path)) return;
    const good: GoodSegment = {
      path,
      digest: toHex(digest),
      generation: facts.keyringGeneration,
      changedAt: facts.changedAt,
      checkpoints: facts.checkpoints.map((seen) => [
        seen.leaf,
        seen.size,
        toHex(seen.root),
        seen.covered,
        toHex(seen.chainHash),
        seen.keyNumber,
        seen.fits ?? null,
        seen.state?.position ?? null,
        seen.state === undefined ? null : toHex(seen.state.hash),
      ]),
    };
    const text = JSON.stringify(good);
    this.#notebook.append(`${toHex(this.#macOf(text))} ${text}`);
  }

  wipe(): void {
    this.#key.wipe();
  }

  #read(line: string): void {
    const mac = fromHex(line.slice(0, 64));
    const text = line.slice(65);
    if (mac === undefined || !constantTimeEqual(mac, this.#macOf(text))) return;
    const { path, digest, generation, changedAt, checkpoints } = JSON.parse(text) as GoodSegment;
    this.#segments.set(path, {
      digest: bytesOf(digest),
      keyringGeneration: generation,
      changedAt: changedAt as Position,
      checkpoints: checkpoints.map(checkpointOf),
    });
  }

  #macOf(text: string): Uint8Array {
    return hmac(this.#key, pae(purpose, this.#logId, utf8Encode(text)));
  }
}

function checkpointOf([
  leaf,
  size,
  root,
  covered,
  chainHash,
  keyNumber,
  fits,
  position,
  hash,
]: GoodSegment['checkpoints'][number]): SeenCheckpoint {
  return {
    leaf: leaf as SeenCheckpoint['leaf'],
    size,
    root: bytesOf(root),
    covered: covered as Position,
    chainHash: bytesOf(chainHash),
    keyNumber,
    ...(fits !== null && { fits }),
    ...(position !== null &&
      hash !== null && { state: { position: position as Position, hash: bytesOf(hash) } }),
  };
}

const bytesOf = (hex: string): Uint8Array => fromHex(hex) ?? new Uint8Array();
