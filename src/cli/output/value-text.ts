const microsPerSecond = 1_000_000n;
/** The range of JavaScript's Date, in seconds. */
const secondsMax = 8_640_000_000_000n;
const infinity = 2n ** 63n - 1n;
const minusInfinity = -(2n ** 63n);

/**
 * The text of a value in a table or a CSV file, or undefined for NULL. `type` is the column's SQL type;
 * times come as microseconds and are written in ISO 8601, as `import` reads them.
 */
export function valueText(value: unknown, type: string): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (type === 'jsonb') return JSON.stringify(value);
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint') return isTime(type) ? timeText(value, type) : value.toString();
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value as boolean);
}

/**
 * A value as JSON carries it: whole numbers beyond 2^53 as strings, numeric as a string, dates and times
 * in ISO 8601, bytea as `\x…`, NaN and infinities as strings, jsonb as itself.
 */
export function valueJson(value: unknown, type: string): unknown {
  if (value === null || value === undefined) return null;
  if (type === 'jsonb' || typeof value === 'boolean') return value;
  if (typeof value === 'bigint') return isTime(type) ? timeText(value, type) : wholeNumber(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  return valueText(value, type);
}

/** A whole number as a JSON number while it is exact, else as a string. */
export function wholeNumber(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

function isTime(type: string): boolean {
  return type === 'timestamptz' || type === 'timestamp';
}

/** ISO 8601 of microseconds since 1970, with as many decimals as it needs; `Z` for timestamptz only. */
function timeText(micros: bigint, type: string): string {
  if (micros === infinity) return 'infinity';
  if (micros === minusInfinity) return '-infinity';
  let seconds = micros / microsPerSecond;
  let fraction = micros % microsPerSecond;
  if (fraction < 0n) {
    seconds -= 1n;
    fraction += microsPerSecond;
  }
  if (seconds > secondsMax || seconds < -secondsMax) return micros.toString();
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, -5);
  const decimals = fraction === 0n ? '' : trimmedFraction(fraction);
  return `${whole}${decimals}${type === 'timestamptz' ? 'Z' : ''}`;
}

function trimmedFraction(fraction: bigint): string {
  const digits = fraction.toString().padStart(6, '0');
  return `.${digits.endsWith('000') ? digits.slice(0, 3) : digits}`;
}

/**
 * `text` with control characters written as escapes, so that a stored value cannot move the cursor,
 * recolour the terminal or turn the direction of the text. Line breaks stay.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    if (character === '\n') return character;
    if (character === '\t') return '  ';
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
