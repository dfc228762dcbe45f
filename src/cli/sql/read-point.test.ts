import { expect, test } from 'vitest';
import { readPoint } from './read-point.ts';

test('--at takes positions and times, UTC unless a zone is given', () => {
  expect(readPoint('17')).toBe(17n);
  expect(readPoint('2024-05-31')).toEqual(new Date('2024-05-31T00:00:00Z'));
  expect(readPoint('2024-05-31 12:00')).toEqual(new Date('2024-05-31T12:00:00Z'));
  expect(readPoint('2024-05-31T12:00:00.250+02')).toEqual(new Date('2024-05-31T10:00:00.250Z'));
  expect(readPoint('2024-05-31T12:00:00-0330')).toEqual(new Date('2024-05-31T15:30:00Z'));
});

test('anything else is wrong usage', () => {
  for (const text of ['', 'yesterday', '-1', '2024-02-30', '1.5', '99999999999999999999']) {
    expect(() => readPoint(text)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  }
});
