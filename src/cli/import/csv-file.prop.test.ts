import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { csvHeader, csvLine } from '../output/csv.ts';
import { readCsvFile } from './csv-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'verity-csv-prop-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('what `sql --format csv` writes, `import` reads back, on the right lines', async () => {
  const path = join(directory, 'file.csv');
  const text = fc.oneof(
    fc.string({
      unit: fc.constantFrom('"', ',', '\n', '\r', 'a', ' ', 'é', '😀', '\ufeff'),
      maxLength: 6,
    }),
    fc.string({ unit: 'grapheme' }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 8 }),
      async (rows) => {
        const columns = ['x', 'y'].map((name) => ({ name, type: 'text' }));
        const lines = rows.map((row) => csvLine(row, columns));
        writeFileSync(path, csvHeader(columns) + lines.join(''));
        const read = [];
        for await (const group of readCsvFile(path)) read.push(...group);
        expect(read.map((row) => row.fields)).toEqual([['x', 'y'], ...rows]);
        let line = 2;
        for (const [index, row] of read.slice(1).entries()) {
          expect(row.line).toBe(line);
          line += (lines[index] as string).split(/\r\n|\r|\n/).length - 1;
        }
      },
    ),
    { numRuns: 300 },
  );
});
