import { expect, test } from 'vitest';
import { identifierProblem, quoteIdentifier, readIdentifier, tableNameOf } from './identifier.ts';

test('names are read as SQL reads them: folded unless quoted', () => {
  expect(readIdentifier('PatientId')).toBe('patientid');
  expect(readIdentifier('ÄRZTE')).toBe('Ärzte');
  expect(readIdentifier('"Patient ""Id"""')).toBe('Patient "Id"');
  expect(quoteIdentifier('a"b')).toBe('"a""b"');
});

test('a file name becomes a table name', () => {
  expect(tableNameOf('/data/Claims Transactions.2024.csv')).toBe('claims_transactions_2024');
  expect(tableNameOf('2024.csv')).toBe('t_2024');
  expect(tableNameOf('patients')).toBe('patients');
  expect(() => tableNameOf('---.csv')).toThrow(/--table/);
});

test('names that PostgreSQL would cut are refused', () => {
  expect(identifierProblem('x'.repeat(63))).toBeUndefined();
  expect(identifierProblem('é'.repeat(32))).toMatch(/63 bytes/);
  expect(identifierProblem('')).toMatch(/empty/);
});
