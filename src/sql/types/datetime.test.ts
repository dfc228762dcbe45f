import { describe, expect, test } from 'vitest';
import type { ErrorCode, TypeName } from '../../base/index.ts';
import { formatText, parseText } from './index.ts';

type DateTimeName = Extract<TypeName, 'date' | 'timestamp' | 'timestamptz'>;

/** What PostgreSQL 15 prints with TimeZone UTC. */
const accepted: readonly [DateTimeName, string, string][] = [
  ['date', '2024-02-29', '2024-02-29'],
  ['date', ' 2024-1-5 ', '2024-01-05'],
  ['date', '2024/01/08', '2024-01-08'],
  ['date', '20240108', '2024-01-08'],
  ['date', '999-01-08', '0999-01-08'],
  ['date', '10000-01-01', '10000-01-01'],
  ['date', '5874897-12-31', '5874897-12-31'],
  ['date', '0044-03-15 BC', '0044-03-15 BC'],
  ['date', '4714-11-24 bc', '4714-11-24 BC'],
  ['date', '0001-02-29 BC', '0001-02-29 BC'],
  ['date', '2024-01-08 23:59:59+14', '2024-01-08'],
  ['date', 'Infinity', 'infinity'],
  ['date', '-infinity', '-infinity'],
  ['date', 'epoch', '1970-01-01'],
  ['timestamp', '2024-01-08', '2024-01-08 00:00:00'],
  ['timestamp', '2024-01-08T03:04', '2024-01-08 03:04:00'],
  ['timestamp', '20240108T030405', '2024-01-08 03:04:05'],
  ['timestamp', '20240108 0304', '2024-01-08 03:04:00'],
  ['timestamp', '2024-01-08 3:4:5', '2024-01-08 03:04:05'],
  ['timestamp', '2024-01-08 03:04:05.5', '2024-01-08 03:04:05.5'],
  ['timestamp', '2024-01-08 03:04:05.000001', '2024-01-08 03:04:05.000001'],
  ['timestamp', '2024-01-08 00:00:00.1234565', '2024-01-08 00:00:00.123456'],
  ['timestamp', '2024-01-08 23:59:59.9999999', '2024-01-09 00:00:00'],
  ['timestamp', '2024-01-08 24:00:00', '2024-01-09 00:00:00'],
  ['timestamp', '2024-01-08 23:59:60', '2024-01-09 00:00:00'],
  ['timestamp', '2024-01-08 12:00:60.5', '2024-01-08 12:01:00.5'],
  ['timestamp', '2024-01-08 01:02:03+05', '2024-01-08 01:02:03'],
  ['timestamp', '0044-03-15 BC 12:00', '0044-03-15 12:00:00 BC'],
  ['timestamp', '294246-12-31 23:59:59.999999', '294246-12-31 23:59:59.999999'],
  ['timestamp', 'infinity', 'infinity'],
  ['timestamptz', '-infinity', '-infinity'],
  ['timestamptz', 'epoch', '1970-01-01 00:00:00+00'],
  ['timestamptz', '2024-01-08T03:04:05Z', '2024-01-08 03:04:05+00'],
  ['timestamptz', '2024-01-08T03:04:05.123456789+01', '2024-01-08 02:04:05.123457+00'],
  ['timestamptz', '2024-01-08 01:02+05:30', '2024-01-07 19:32:00+00'],
  ['timestamptz', '2024-01-08 01:02 +0530', '2024-01-07 19:32:00+00'],
  ['timestamptz', '2024-01-08 01:02 -5', '2024-01-08 06:02:00+00'],
  ['timestamptz', '2024-01-08 01:02:03+15:59:59', '2024-01-07 09:02:04+00'],
  ['timestamptz', '2024-01-08 01:02 utc', '2024-01-08 01:02:00+00'],
  ['timestamptz', '2024-01-08+05', '2024-01-07 19:00:00+00'],
  ['timestamptz', '2024-01-08 01:02:03', '2024-01-08 01:02:03+00'],
  ['timestamptz', '0044-03-15 12:00:00+00 BC', '0044-03-15 12:00:00+00 BC'],
];

describe('dates and times are read and printed as by PostgreSQL', () => {
  test.each(accepted)('%s %j', (name, input, output) => {
    const value = parseText({ name }, input);
    expect(formatText({ name }, value)).toBe(output);
    expect(parseText({ name }, output)).toBe(value);
  });
});

const refused: readonly [DateTimeName, string, ErrorCode][] = [
  ['date', '', 'INVALID_DATETIME'],
  ['date', 'garbage', 'INVALID_DATETIME'],
  ['date', 'today', 'INVALID_DATETIME'],
  ['date', '1/8/1999', 'INVALID_DATETIME'],
  ['date', '99-01-08', 'INVALID_DATETIME'],
  ['date', '2024-01', 'INVALID_DATETIME'],
  ['date', '2024-01-08x', 'INVALID_DATETIME'],
  ['date', '2024-01-08-05', 'INVALID_DATETIME'],
  ['date', '2024-001-08', 'INVALID_DATETIME'],
  ['date', '2024-13-01', 'DATETIME_OUT_OF_RANGE'],
  ['date', '2024-02-30', 'DATETIME_OUT_OF_RANGE'],
  ['date', '1900-02-29', 'DATETIME_OUT_OF_RANGE'],
  ['date', '2024-00-01', 'DATETIME_OUT_OF_RANGE'],
  ['date', '0000-01-01', 'DATETIME_OUT_OF_RANGE'],
  ['date', '5874898-01-01', 'DATETIME_OUT_OF_RANGE'],
  ['date', '4714-11-23 BC', 'DATETIME_OUT_OF_RANGE'],
  ['timestamp', '2024-01-08T', 'INVALID_DATETIME'],
  ['timestamp', '2024-01-08T01', 'INVALID_DATETIME'],
  ['timestamp', '2024-01-08 01:02:03,5', 'INVALID_DATETIME'],
  ['timestamp', '2024-01-08 25:00', 'DATETIME_OUT_OF_RANGE'],
  ['timestamp', '2024-01-08 24:00:01', 'DATETIME_OUT_OF_RANGE'],
  ['timestamp', '2024-01-08 23:60', 'DATETIME_OUT_OF_RANGE'],
  ['timestamp', '2024-01-08 23:59:60.5', 'DATETIME_OUT_OF_RANGE'],
  ['timestamp', '2024-01-08 12:00:61', 'DATETIME_OUT_OF_RANGE'],
  ['timestamp', '294247-01-01', 'DATETIME_OUT_OF_RANGE'],
  ['timestamp', '4714-11-23 23:59:59 BC', 'DATETIME_OUT_OF_RANGE'],
  ['timestamptz', '2024-01-08 01:02 Europe/Berlin', 'INVALID_DATETIME'],
  ['timestamptz', '2024-01-08 01:02+16', 'INVALID_DATETIME'],
  ['timestamptz', '2024-01-08 01:02ZBC', 'INVALID_DATETIME'],
  ['timestamptz', '294246-12-31 23:59:59-01', 'DATETIME_OUT_OF_RANGE'],
];

describe('dates and times are refused', () => {
  test.each(refused)('%s %j with %s', (name, input, code) => {
    expect(() => parseText({ name }, input)).toThrow(expect.objectContaining({ code }));
  });
});

test('dates count days and timestamps microseconds since 1970', () => {
  expect(parseText({ name: 'date' }, '1970-01-02')).toBe(1);
  expect(parseText({ name: 'date' }, '2000-03-01')).toBe(11_017);
  expect(parseText({ name: 'date' }, '4714-11-24 BC')).toBe(-2_440_588);
  expect(parseText({ name: 'timestamp' }, '1969-12-31 23:59:59.999999')).toBe(-1n);
  expect(parseText({ name: 'timestamptz' }, '2001-09-09T01:46:40Z')).toBe(1_000_000_000_000_000n);
});
