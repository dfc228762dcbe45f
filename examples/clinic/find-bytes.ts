import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Search {
  readonly files: number;
  readonly bytes: number;
  /** `file: form`, for each form of a secret that was found. */
  readonly found: string[];
}

/**
 * Reads every byte of every file under `directory` and looks for each secret: as UTF-8, UTF-16, hex, and
 * base64 at each of the three ways it can be aligned.
 */
export function findBytes(directory: string, secrets: readonly string[]): Search {
  const needles = secrets.flatMap(formsOf);
  const found: string[] = [];
  let files = 0;
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const content = readFileSync(path);
    files++;
    bytes += content.length;
    for (const { form, needle } of needles) {
      if (content.includes(needle)) found.push(`${path}: ${form}`);
    }
  }
  return { files, bytes, found };
}

function formsOf(secret: string): { form: string; needle: Buffer }[] {
  const text = Buffer.from(secret);
  const hex = text.toString('hex');
  return [
    { form: 'UTF-8', needle: text },
    { form: 'UTF-16', needle: Buffer.from(secret, 'utf16le') },
    { form: 'hex', needle: Buffer.from(hex) },
    { form: 'HEX', needle: Buffer.from(hex.toUpperCase()) },
    ...[0, 1, 2].map((shift) => ({
      form: 'base64',
      needle: Buffer.from(base64Inside(text, shift)),
    })),
  ];
}

/** The base64 characters that depend on `text` alone when `shift` other bytes stand before it. */
function base64Inside(text: Buffer, shift: number): string {
  const encoded = Buffer.concat([Buffer.alloc(shift), text])
    .toString('base64')
    .replace(/=+$/, '');
  const start = Math.ceil((shift * 8) / 6);
  const end = Math.floor(((shift + text.length) * 8) / 6);
  return encoded.slice(start, end);
}
