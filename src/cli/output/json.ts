import { wholeNumber } from './value-text.ts';

/** A JSON document and a newline. bigint becomes a number while exact, else a string; Date becomes ISO 8601. */
export function jsonDocument(value: unknown): string {
  return `${jsonText(value)}\n`;
}

/** The same without the newline. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, (_name, item: unknown) =>
    typeof item === 'bigint' ? wholeNumber(item) : item,
  );
}
