/** UTF-8 through the platform's standard encoder, declared here because the pure half has no Node or DOM types. */
interface StandardTextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
  encodeInto(text: string, target: Uint8Array): { read: number; written: number };
}
interface StandardTextDecoder {
  decode(bytes: Uint8Array): string;
}
declare const TextEncoder: new () => StandardTextEncoder;
declare const TextDecoder: new (
  label: string,
  options: { fatal: boolean; ignoreBOM: boolean },
) => StandardTextDecoder;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const shortStringMax = 24;

/** The UTF-8 bytes of `text`. */
export function utf8Encode(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Writes `text` as UTF-8 at `offset`; returns the bytes written. `target` must have room for 3 bytes a UTF-16 unit. */
export function utf8Write(text: string, target: Uint8Array, offset: number): number {
  const length = text.length;
  if (length <= shortStringMax) {
    let index = 0;
    for (; index < length; index++) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) break;
      target[offset + index] = code;
    }
    if (index === length) return length;
  }
  return encoder.encodeInto(text, target.subarray(offset)).written;
}

/** Decodes UTF-8. Throws TypeError on bytes that are not UTF-8. */
export function utf8Decode(bytes: Uint8Array, start = 0, end = bytes.length): string {
  if (end - start <= shortStringMax) {
    let text = '';
    let index = start;
    for (; index < end; index++) {
      const code = bytes[index] as number;
      if (code > 0x7f) break;
      text += String.fromCharCode(code);
    }
    if (index === end) return text;
  }
  return decoder.decode(bytes.subarray(start, end));
}

/** The length of `text` in UTF-8 bytes (a surrogate pair takes four). */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code <= 0x7f) bytes += 1;
    else if (code <= 0x7ff) bytes += 2;
    else if (code >= 0xd800 && code <= 0xdfff) bytes += 2;
    else bytes += 3;
  }
  return bytes;
}
