import { expect, test } from 'vitest';
import { CorruptionError, sqlError, VerityError } from '../base/index.ts';
import { failureOf, renderFailure, usageError } from './failure.ts';

test('exit codes: 2 for usage, 3 for damage, 1 for the rest', () => {
  expect(failureOf(usageError('no')).exitCode).toBe(2);
  expect(
    failureOf(new CorruptionError('CHECKSUM_MISMATCH', 'log/1.vlog', 12, 'Damaged')).exitCode,
  ).toBe(3);
  expect(failureOf(new VerityError('KEYRING_ROLLED_BACK', 'old')).exitCode).toBe(3);
  expect(failureOf(sqlError('SYNTAX_ERROR', 'no', 3)).exitCode).toBe(1);
  expect(failureOf(new TypeError('x is undefined')).exitCode).toBe(1);
});

test('what nobody expected is one line without a stack trace', () => {
  const error = new TypeError('x is\nundefined');
  const text = renderFailure(failureOf(error), false);
  expect(text).toBe(
    'error: TypeError: x is undefined (a defect of verity; please report it) [INTERNAL]\n',
  );
  expect(JSON.parse(renderFailure(failureOf(error), true)).error).toMatchObject({
    code: 'INTERNAL',
    sqlState: 'XX000',
  });
});

test('a message cannot drive the terminal', () => {
  expect(renderFailure(failureOf(new VerityError('IO_ERROR', 'bad \u001b[2J name')), false)).toBe(
    'error: bad \\u001b[2J name [IO_ERROR]\n',
  );
});

test('JSON carries bigint details', () => {
  const failure = failureOf(
    new VerityError('POSITION_UNKNOWN', 'no', { details: { position: 5n } }),
  );
  expect(JSON.parse(renderFailure(failure, true)).error.details).toEqual({ position: 5 });
});
