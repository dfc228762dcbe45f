import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  numericAbs,
  numericAdd,
  numericCompare,
  numericDivide,
  numericModulo,
  numericMultiply,
  numericNegate,
  numericRound,
  numericSubtract,
} from './index.ts';

const operators = {
  '+': numericAdd,
  '-': numericSubtract,
  '*': numericMultiply,
  '/': numericDivide,
  '%': numericModulo,
} as const;

/** Results of PostgreSQL 15. */
const results: readonly [string, keyof typeof operators, string, string][] = [
  ['0.1', '+', '0.20', '0.30'],
  ['-0.1', '+', '0.1', '0.0'],
  ['999', '+', '1', '1000'],
  ['Infinity', '+', '-Infinity', 'NaN'],
  ['Infinity', '-', 'Infinity', 'NaN'],
  ['1', '-', 'Infinity', '-Infinity'],
  ['1.0', '+', 'NaN', 'NaN'],
  ['1.0', '-', '1.0', '0.0'],
  ['0.00', '*', '1.0', '0.000'],
  ['-1.5', '*', '0', '0.0'],
  ['-1.5', '*', '1.25', '-1.875'],
  ['Infinity', '*', '0', 'NaN'],
  ['-2', '*', 'Infinity', '-Infinity'],
  ['1', '/', '3', '0.33333333333333333333'],
  ['1', '/', '1', '1.00000000000000000000'],
  ['10', '/', '3', '3.3333333333333333'],
  ['2', '/', '1', '2.0000000000000000'],
  ['-2', '/', '3', '-0.66666666666666666667'],
  ['1.5', '/', '0.0003', '5000.0000000000000000'],
  ['123456789.123456789', '/', '987654321.987654321', '0.12499999886093750001'],
  ['0', '/', '7', '0.00000000000000000000'],
  ['0', '/', 'Infinity', '0'],
  ['-Infinity', '/', '2', '-Infinity'],
  ['Infinity', '/', '-Infinity', 'NaN'],
  ['NaN', '/', '0', 'NaN'],
  ['5.5', '%', '2.25', '1.00'],
  ['-5.5', '%', '2.25', '-1.00'],
  ['1.000', '%', '1', '0.000'],
  ['2', '%', 'Infinity', '2'],
  ['Infinity', '%', '2', 'NaN'],
];

describe('arithmetic gives the digits and the scale of PostgreSQL', () => {
  test.each(results)('%s %s %s = %s', (left, operator, right, result) => {
    expect(operators[operator](left, right)).toBe(result);
  });

  test.each([
    ['2.5', 0, '3'],
    ['-2.55', 1, '-2.6'],
    ['1234.5', -2, '1200'],
    ['50', -2, '100'],
    ['49', -2, '0'],
    ['-49', -2, '0'],
    ['1.5', 5, '1.50000'],
    ['NaN', 2, 'NaN'],
    ['-Infinity', 0, '-Infinity'],
    ['9.99', 1, '10.0'],
  ] as const)('round(%s, %i) = %s', (value, scale, result) => {
    expect(numericRound(value, scale)).toBe(result);
  });

  test('negation and absolute value keep the scale', () => {
    expect(
      ['0.00', '1.50', '-1.50', 'NaN', 'Infinity', '-Infinity'].map(numericNegate),
    ).toStrictEqual(['0.00', '-1.50', '1.50', 'NaN', '-Infinity', 'Infinity']);
    expect(['0.00', '-1.50', 'NaN', '-Infinity'].map(numericAbs)).toStrictEqual([
      '0.00',
      '1.50',
      'NaN',
      'Infinity',
    ]);
  });

  test('division by zero and results beyond 131,072 digits are refused', () => {
    expect(() => numericDivide('1', '0.00')).toThrow(
      expect.objectContaining({ code: 'DIVISION_BY_ZERO' }),
    );
    expect(() => numericDivide('Infinity', '0')).toThrow(
      expect.objectContaining({ code: 'DIVISION_BY_ZERO' }),
    );
    expect(() => numericModulo('1', '0')).toThrow(
      expect.objectContaining({ code: 'DIVISION_BY_ZERO' }),
    );
    const huge = '9'.repeat(131_072);
    expect(() => numericMultiply(huge, '10')).toThrow(
      expect.objectContaining({ code: 'NUMERIC_OUT_OF_RANGE' }),
    );
  });
});

test('numericCompare orders by value, NaN last', () => {
  const ascending = [
    '-Infinity',
    '-10',
    '-9.5',
    '-0.01',
    '0.00',
    '0.009',
    '0.01',
    '1',
    '1.5',
    '9.99',
    '10',
    'Infinity',
    'NaN',
  ];
  for (const [i, left] of ascending.entries()) {
    for (const [j, right] of ascending.entries())
      expect(numericCompare(left, right)).toBe(Math.sign(i - j));
  }
  expect(numericCompare('1.0', '1.000')).toBe(0);
  expect(numericCompare('-1.0', '-1')).toBe(0);
  expect(numericCompare('NaN', 'NaN')).toBe(0);
});

test('addition, multiplication and remainder agree with whole-number arithmetic', () => {
  const big = fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n });
  fc.assert(
    fc.property(big, big, (a, b) => {
      expect(numericAdd(`${a}`, `${b}`)).toBe(`${a + b}`);
      expect(numericSubtract(`${a}`, `${b}`)).toBe(`${a - b}`);
      expect(numericMultiply(`${a}`, `${b}`)).toBe(`${a * b}`);
      if (b !== 0n) expect(numericModulo(`${a}`, `${b}`)).toBe(`${a % b}`);
      expect(numericCompare(`${a}`, `${b}`)).toBe(a < b ? -1 : a > b ? 1 : 0);
    }),
    { numRuns: 300 },
  );
});
