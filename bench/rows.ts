/** The rows that every bench writes and reads: five columns, all values varied, the same for all rivals. */

export const createTable = `CREATE TABLE visits (
  id uuid PRIMARY KEY, patient text NOT NULL, duration integer, seen timestamptz, cost numeric(10,2))`;
export const insertRow = 'INSERT INTO visits VALUES ($1, $2, $3, $4, $5)';
export const selectRow = 'SELECT id, patient, duration, seen, cost FROM visits WHERE id = $1';

/** INSERT of `count` rows at once. */
export function insertRows(count: number): string {
  const tuples = Array.from(
    { length: count },
    (_, row) =>
      `($${row * 5 + 1}, $${row * 5 + 2}, $${row * 5 + 3}, $${row * 5 + 4}, $${row * 5 + 5})`,
  );
  return `INSERT INTO visits VALUES ${tuples.join(', ')}`;
}

export type VisitRow = readonly [
  id: string,
  patient: string,
  duration: number,
  seen: Date,
  cost: string,
];

const firstNames = ['Ada', 'Grace', 'Edsger', 'Barbara', 'Donald', 'Frances', 'Niklaus', 'Radia'];
const lastNames = [
  'Lovelace',
  'Hopper',
  'Dijkstra',
  'Liskov',
  'Knuth',
  'Allen',
  'Wirth',
  'Perlman',
];
const january2026 = Date.UTC(2026, 0, 1);

/** A stream of whole numbers below 2^32 that is the same at each run (mulberry32). */
export class Numbers {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  below(end: number): number {
    return this.next() % end;
  }
}

/** `count` new rows in random order of their keys. Made before the clock starts. */
export function makeRows(numbers: Numbers, count: number): VisitRow[] {
  return Array.from({ length: count }, () => makeRow(numbers));
}

/** Texts come from join(), which makes them flat: those put together by `+` are flattened at their first use, on the clock. */
export function makeRow(numbers: Numbers): VisitRow {
  const first = firstNames[numbers.below(firstNames.length)] as string;
  const last = lastNames[numbers.below(lastNames.length)] as string;
  return [
    uuid(numbers),
    [first, last, numbers.below(10_000)].join(' '),
    numbers.below(20_000),
    new Date(january2026 + numbers.below(31_536_000) * 1000),
    [numbers.below(100_000), String(numbers.below(100)).padStart(2, '0')].join('.'),
  ];
}

const hexCodes = Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));
const hyphen = 45;

/** Version 4's form, as one flat string. */
function uuid(numbers: Numbers): string {
  const codes: number[] = [];
  for (let word = 0; word < 4; word++) {
    for (let bits = numbers.next(), digit = 0; digit < 8; digit++, bits >>>= 4) {
      if (codes.length === 8 || codes.length === 13 || codes.length === 18 || codes.length === 23)
        codes.push(hyphen);
      codes.push(hexCodes[bits & 15] as number);
    }
  }
  codes[14] = hexCodes[4] as number;
  codes[19] = hexCodes[10] as number;
  return String.fromCharCode(...codes);
}
