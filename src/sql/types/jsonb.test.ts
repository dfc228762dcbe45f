import { describe, expect, test } from 'vitest';
import { type ErrorCode, limits, type Value } from '../../base/index.ts';
import { compareValues, formatText, parseText } from './index.ts';

const jsonb = { name: 'jsonb' } as const;

describe('jsonb text is canonical as PostgreSQL makes it', () => {
  test.each([
    ['{"aa":1,"b":[1.50,1e5,1.5e-3],"a":{"x":null},"b":2}', '{"a": {"x": null}, "b": 2, "aa": 1}'],
    [' [ 1.50 , 1e5,1.5E-3 , -0, -0.0 ] ', '[1.50, 100000, 0.0015, 0, 0.0]'],
    ['"\\u00e9\\/\\u0001\\u007f\\ud83d\\ude00"', '"é/\\u0001\u007f😀"'],
    ['"\\b\\f\\n\\r\\t\\"\\\\"', '"\\b\\f\\n\\r\\t\\"\\\\"'],
    ['{"é":1,"zz":2,"b":3,"":4}', '{"": 4, "b": 3, "zz": 2, "é": 1}'],
    ['{"__proto__":1,"10":2,"9":3}', '{"9": 3, "10": 2, "__proto__": 1}'],
    ['[]', '[]'],
    ['{}', '{}'],
    ['\t true\n', 'true'],
    ['123456789012345678901234567890.10', '123456789012345678901234567890.10'],
  ])('%s', (input, output) => {
    expect(formatText(jsonb, parseText(jsonb, input))).toBe(output);
    expect(parseText(jsonb, output)).toBe(output);
  });
});

describe('jsonb refuses', () => {
  test.each<[string, ErrorCode]>([
    ['', 'INVALID_TEXT'],
    ['{', 'INVALID_TEXT'],
    ['[1,]', 'INVALID_TEXT'],
    ['{"a":1,}', 'INVALID_TEXT'],
    ['{a:1}', 'INVALID_TEXT'],
    ["'a'", 'INVALID_TEXT'],
    ['01', 'INVALID_TEXT'],
    ['1.', 'INVALID_TEXT'],
    ['+1', 'INVALID_TEXT'],
    ['NaN', 'INVALID_TEXT'],
    ['nul', 'INVALID_TEXT'],
    ['1 2', 'INVALID_TEXT'],
    ['"a', 'INVALID_TEXT'],
    ['"\n"', 'INVALID_TEXT'],
    ['"\\x"', 'INVALID_TEXT'],
    ['"\\u12"', 'INVALID_TEXT'],
    ['"\\u0000"', 'INVALID_TEXT'],
    ['"\\ud800"', 'INVALID_TEXT'],
    ['"\\ude00\\ud83d"', 'INVALID_TEXT'],
    ['"\ud800"', 'INVALID_TEXT'],
    ['\u00a01', 'INVALID_TEXT'],
    ['1e200000', 'NUMERIC_OUT_OF_RANGE'],
  ])('%j with %s', (input, code) => {
    expect(() => parseText(jsonb, input)).toThrow(expect.objectContaining({ code }));
  });

  test('nesting beyond 500 levels, however deep', () => {
    expect(parseText(jsonb, '['.repeat(500) + ']'.repeat(500))).toHaveLength(1_000);
    for (const depth of [501, 500_000]) {
      expect(() => parseText(jsonb, '['.repeat(depth) + ']'.repeat(depth))).toThrow(
        expect.objectContaining({ code: 'STATEMENT_TOO_COMPLEX' }),
      );
    }
  });

  test('numbers whose digits would fill memory', () => {
    const many = `[${Array.from({ length: limits.valueBytesMax / 16 }, () => '1e131071').join(',')}]`;
    expect(() => parseText(jsonb, many)).toThrow(
      expect.objectContaining({ code: 'VALUE_TOO_LARGE' }),
    );
  });
});

test('jsonb values order as in PostgreSQL, an empty array first of all', () => {
  // Sorted by PostgreSQL 15 with collation C.
  const ascending = [
    '[]',
    'null',
    '""',
    '"a"',
    '"b"',
    '1',
    '1.5',
    'false',
    'true',
    '[null]',
    '["a"]',
    '[1]',
    '[true]',
    '[[]]',
    '[{}]',
    '[0, 0]',
    '[0, 1]',
    '{}',
    '{"a": 0}',
    '{"a": 1}',
    '{"b": 0}',
    '{"a": 0, "b": 0}',
  ].map((text): Value => parseText(jsonb, text));
  for (const [i, left] of ascending.entries()) {
    for (const [j, right] of ascending.entries())
      expect(compareValues(jsonb, left, right)).toBe(Math.sign(i - j));
  }
  expect(compareValues(jsonb, '[1.0]', '[1]')).toBe(0);
});
