import { beforeAll, expect, test } from 'vitest';
import { loadParser } from './index.ts';
import { MemoryDatabase } from './testing/memory-view.ts';

beforeAll(loadParser);

test('insert and select by key run end to end', () => {
  const db = new MemoryDatabase();
  db.run('CREATE TABLE t (id integer PRIMARY KEY, name text NOT NULL, born date)');
  expect(db.run("INSERT INTO t VALUES (1, 'Ann', '1990-01-02'), (2, 'Bob', NULL)").rowCount).toBe(2);
  db.view.calls.length = 0;
  expect(db.run('SELECT * FROM t WHERE id = $1', [2]).rows).toEqual([[2, 'Bob', null]]);
  expect(db.view.calls).toEqual(['get']);
  expect(db.run('SELECT name FROM t ORDER BY id DESC').rows).toEqual([['Bob'], ['Ann']]);
  expect(db.run('UPDATE t SET id = id + 1').rowCount).toBe(2);
  expect(db.run('SELECT id, name FROM t').rows).toEqual([[2, 'Ann'], [3, 'Bob']]);
  expect(db.run('DELETE FROM t WHERE id = 2 RETURNING name').rows).toEqual([['Ann']]);
  expect(db.run('SELECT count(*), max(id) FROM t').rows).toEqual([[1n, 3]]);
});
