/** Every planted bug can be planted, and three of them, others each day, are killed. All: npm run mutants. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { root } from '../support/project.ts';
import { Copy, type Mutant, placesOf, survival } from './mutants.ts';
import { mutants } from './registry.ts';

const perDay = 3;
const dayMs = 86_400_000;

const copy = new Copy();
afterAll(() => copy.remove());

function ofToday(): Mutant[] {
  const first = Math.floor(Date.now() / dayMs) * perDay;
  return Array.from(
    { length: perDay },
    (_unused, index) => mutants[(first + index) % mutants.length] as Mutant,
  );
}

test('there are at least 18, each with its own name, in a place that is there, and with a killer that is there', () => {
  expect(mutants.length).toBeGreaterThanOrEqual(18);
  expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
  const wrong = mutants.filter(
    (mutant) => placesOf(mutant) !== 1 || !existsSync(join(root, mutant.test)),
  );
  expect(wrong.map(({ name }) => name)).toEqual([]);
});

test.each(ofToday())('"$name" is killed', (mutant) => {
  expect(survival(mutant, copy.runPlanted(mutant))).toBeUndefined();
});
