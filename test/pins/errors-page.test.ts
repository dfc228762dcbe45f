import { expect, test } from 'vitest';
import { errorsPage } from '../../scripts/errors-page.ts';
import { readText } from '../support/project.ts';

test('docs/errors.md is what `npm run docs:errors` writes', () => {
  expect(readText('docs/errors.md')).toBe(errorsPage());
});
