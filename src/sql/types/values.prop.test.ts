import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { typeNames, type Value } from '../../base/index.ts';
import { encodeKey } from '../../codec/index.ts';
import { comparator, formatText, fromJs, parseText, toJs } from './index.ts';

// Few and troublesome characters, so that equal beginnings are common: U+E000 and U+FFFF stand below
// U+10000 by code point and above its surrogates by UTF-16 unit.
const text = fc.string({
  unit: fc.constantFrom('a', 'b', '\u0001', '\u007f', 'é', '\ue000', '\uffff', '\u{10000}', '😀'),
  maxLength: 5,
});
const micros = fc.oneof(
  fc.bigInt({ min: -210_866_803_200_000_000n, max: 9_223_371_244_800_000_000n - 1n }),
  fc.bigInt({ min: -3n, max: 3n }),
  fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n)),
);
const numeric = fc
  .oneof(
    {
      weight: 8,
      arbitrary: fc
        .tuple(
          fc.constantFrom('', '-'),
          fc.nat(2_000),
          fc.integer({ min: -5, max: 5 }),
          fc.constantFrom('', '0', '00'),
        )
        .map(([sign, digits, exponent, zeros]) => `${sign}${digits}.${zeros}e${exponent}`),
    },
    { weight: 1, arbitrary: fc.constantFrom('NaN', 'Infinity', '-Infinity', '0.00') },
  )
  .map((value) => parseText({ name: 'numeric' }, value));
const jsonLeaf = fc.oneof(fc.constantFrom(null, true, false, 0, 1, 1.5, -1), text);
const json = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    jsonLeaf,
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'aa', 'é'), tie('node')),
  ),
})).node;

/** An interval is in no row. */
type StoredName = (typeof typeNames)[number];

const arbitraries: Readonly<Record<StoredName, fc.Arbitrary<NonNullable<Value>>>> = {
  smallint: fc.integer({ min: -32768, max: 32767 }),
  integer: fc.oneof(fc.integer(), fc.integer({ min: -2, max: 2 })),
  bigint: fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -2n, max: 2n }),
  ),
  real: fc.oneof(fc.float(), fc.constantFrom(0, -0, Number.NaN)),
  'double precision': fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN)),
  numeric,
  text,
  varchar: text,
  boolean: fc.boolean(),
  bytea: fc.uint8Array({ max: 2, maxLength: 4 }),
  date: fc.oneof(
    fc.integer({ min: -2_440_588, max: 2_145_042_905 }),
    fc.constantFrom(Infinity, -Infinity),
  ),
  timestamp: micros,
  timestamptz: micros,
  uuid: fc.uuid(),
  jsonb: json.map((value) => parseText({ name: 'jsonb' }, JSON.stringify(value))),
};

describe.each(typeNames)('%s', (name) => {
  const type = { name };
  const value = arbitraries[name];

  test('formatText and back gives the same value', () => {
    fc.assert(
      fc.property(value, (original) => {
        expect(parseText(type, formatText(type, original))).toStrictEqual(original);
      }),
      { numRuns: 300 },
    );
  });

  test('toJs and back gives the same value', () => {
    fc.assert(
      fc.property(value, (original) => {
        // A bare jsonb string is JSON text on the way in, and numbers keep no scale in JavaScript.
        fc.pre(!(typeof original === 'string' && name === 'jsonb' && /^["n]/.test(original)));
        expect(fromJs(type, toJs(type, original, { timestamps: 'microseconds' }))).toStrictEqual(
          original,
        );
      }),
      { numRuns: 300 },
    );
  });

  test('keys order as the comparator does', () => {
    const compare = comparator(type);
    fc.assert(
      fc.property(value, value, (left, right) => {
        const first = encodeKey([type], [left]);
        const second = encodeKey([type], [right]);
        const order = first < second ? -1 : first > second ? 1 : 0;
        expect(order).toBe(compare(left, right));
        expect(compare(right, left)).toBe(order === 0 ? 0 : -order);
        expect(compare(left, left)).toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });
});

test('keys of several columns order by the first column that differs, NULLs last', () => {
  const types = [{ name: 'text' }, { name: 'integer' }] as const;
  const row = fc.tuple(fc.option(text), fc.option(fc.integer({ min: -2, max: 2 })));
  const compareColumns = (left: readonly Value[], right: readonly Value[]): number => {
    for (const [index, type] of types.entries()) {
      const a = left[index] as Value;
      const b = right[index] as Value;
      const order =
        a === null || b === null ? Number(a === null) - Number(b === null) : comparator(type)(a, b);
      if (order !== 0) return order;
    }
    return 0;
  };
  fc.assert(
    fc.property(row, row, (left, right) => {
      const first = encodeKey(types, left);
      const second = encodeKey(types, right);
      expect(first < second ? -1 : first > second ? 1 : 0).toBe(compareColumns(left, right));
    }),
    { numRuns: 2_000 },
  );
});

test('text orders as its UTF-8 bytes', () => {
  const compare = comparator({ name: 'text' });
  fc.assert(
    fc.property(text, text, (left, right) => {
      const encoder = new TextEncoder();
      const bytes = comparator({ name: 'bytea' })(encoder.encode(left), encoder.encode(right));
      expect(compare(left, right)).toBe(bytes);
    }),
    { numRuns: 2_000 },
  );
});
