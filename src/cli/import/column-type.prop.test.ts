import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Verity } from '../../database/index.ts';
import { valueText } from '../output/value-text.ts';
import { parameterOf, TypeInference } from './column-type.ts';

let database: Verity;
beforeAll(async () => {
  database = await Verity.open(':memory:', { timestamps: 'microseconds' });
  await database.createTenant('clinic');
});
afterAll(() => database.close());

const two = (max: number): fc.Arbitrary<string> =>
  fc.integer({ min: 0, max }).map((number) => String(number).padStart(2, '0'));
const day = fc
  .tuple(fc.integer({ min: 0, max: 9_999 }), two(13), two(32))
  .map(([year, month, date]) => `${String(year).padStart(4, '0')}-${month}-${date}`);
const zone = fc.oneof(
  fc.constantFrom('Z', '+00', '-08', '+0530', ''),
  fc.tuple(fc.constantFrom('+', '-'), two(16), two(60)).map(([sign, h, m]) => `${sign}${h}:${m}`),
);
const time = fc
  .tuple(
    day,
    fc.constantFrom('T', ' '),
    two(24),
    two(60),
    fc.constantFrom('', ':59', ':60', ':07.5', ':07.123456', ':07.1234567'),
    zone,
  )
  .map(
    ([date, separator, hour, minute, second, offset]) =>
      `${date}${separator}${hour}:${minute}${second}${offset}`,
  );
const number = fc.oneof(
  fc.bigInt({ min: -(2n ** 66n), max: 2n ** 66n }).map(String),
  fc
    .tuple(fc.integer(), fc.stringMatching(/^[0-9]{1,30}$/))
    .map(([whole, part]) => `${whole}.${part}`),
  fc.stringMatching(/^[-+]?[0-9.]{1,12}(e[0-9])?$/),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '-0', '2147483648', '-9223372036854775808'),
);
const anything = fc.oneof(
  number,
  day,
  time,
  fc.uuid(),
  fc.uuid().map((text) => text.toUpperCase()),
  fc.constantFrom('true', 'FALSE', 't'),
  fc.string({ minLength: 1, unit: 'grapheme' }),
);

test('the database takes every value of a column under the type inferred for it, and numbers come back as written', async () => {
  const clinic = database.tenant('clinic');
  let table = 0;
  const column = fc.oneof(
    ...[number, day, time, fc.uuid(), anything].map((value) =>
      fc.array(value, { minLength: 1, maxLength: 6 }),
    ),
  );
  await fc.assert(
    fc.asyncProperty(column, async (values) => {
      fc.pre(values.every((value) => !value.includes('\0')));
      const inference = new TypeInference();
      for (const value of values) inference.add(value);
      const { type } = inference;
      const name = `t${table++}`;
      await clinic.execute(`CREATE TABLE ${name} (n integer PRIMARY KEY, v ${type})`);
      const convert = parameterOf(type);
      for (const [index, value] of values.entries()) {
        await clinic.execute(`INSERT INTO ${name} VALUES ($1, $2)`, [index, convert(value)]);
      }
      const { rows } = await clinic.query(`SELECT v FROM ${name} ORDER BY n`);
      const read = rows.map((row) => valueText(row['v'], type) ?? '');
      if (type === 'uuid' || type === 'boolean') {
        expect(read).toEqual(values.map((value) => value.toLowerCase()));
      } else if (type === 'timestamptz') {
        const instant = (text: string): number =>
          Date.parse(
            text
              .replace(' ', 'T')
              .replace(/([+-]\d\d):?(\d\d)?$/, (_all, h: string, m = '00') => `${h}:${m}`),
          );
        expect(read.map(instant)).toEqual(values.map(instant));
      } else {
        expect(read).toEqual(values);
      }
    }),
    { numRuns: 400 },
  );
});
