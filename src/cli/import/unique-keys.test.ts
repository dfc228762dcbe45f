import { expect, test } from 'vitest';
import { SeenKeys } from './unique-keys.ts';

test('every repeated key is noticed and few new ones are suspected, past several growths', () => {
  const seen = new SeenKeys();
  let suspected = 0;
  for (let index = 0; index < 200_000; index++) {
    if (seen.add(`key ${index}`) !== undefined) suspected++;
  }
  expect(suspected).toBeLessThan(3);
  for (let index = 0; index < 200_000; index += 37) {
    expect(seen.add(`key ${index}`)).toBe(seen.hash(`key ${index}`));
  }
});
