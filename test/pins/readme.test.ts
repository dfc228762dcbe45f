import { expect, test } from 'vitest';
import { limits } from '../../src/base/index.ts';
import { markdownTable } from '../support/project.ts';

test("README's table of limits is the one the code keeps", () => {
  const stated = markdownTable('README.md', 'Limit').map(([name, value]) => [name, value]);
  const kept = Object.entries(limits).map(([name, value]) => [name, value.toLocaleString('en-US')]);
  expect(stated).toEqual(kept);
});
