/** Values, names and texts that must not be found anywhere: each is written into a database once. */
import type { TypeName, Value } from '../../src/base/index.ts';
import { rowCodec, Writer, encodeKey } from '../../src/codec/index.ts';
import type { SqlParameter } from '../../src/database/index.ts';
import { byteForms, type Needle, ownForms, textForms, windowForms } from './canary-search.ts';

export interface CanaryValue {
  readonly type: TypeName;
  /** As the engine holds it. */
  readonly value: Value;
  readonly parameter: SqlParameter;
  /** As a person would read it. */
  readonly texts: readonly string[];
}

const bytea = Uint8Array.from({ length: 20 }, (_, index) => (index * 53 + 201) & 0xff);
const timestamp = '1953-04-25 11:22:33.456789';
const timestamptz = '1961-08-17T05:06:07.654Z';
const real = Math.fround(27_182.818);

export const canaryValues: readonly CanaryValue[] = [
  { type: 'smallint', value: 27_191, parameter: 27_191, texts: ['27191'] },
  {
    type: 'integer',
    value: 1_357_924_680,
    parameter: 1_357_924_680,
    texts: ['1357924680', '50F05D88'],
  },
  {
    type: 'bigint',
    value: 8_765_432_101_234_567n,
    parameter: 8_765_432_101_234_567n,
    texts: ['8765432101234567'],
  },
  { type: 'real', value: real, parameter: real, texts: ['27182.818'] },
  {
    type: 'double precision',
    value: 31_415.926_535_897,
    parameter: 31_415.926_535_897,
    texts: ['31415.926535897'],
  },
  {
    type: 'numeric',
    value: '98765432101234.56789',
    parameter: '98765432101234.56789',
    texts: ['98765432101234', '56789'],
  },
  {
    type: 'text',
    value: 'Quetzal Åström 鶴の恩返し',
    parameter: 'Quetzal Åström 鶴の恩返し',
    texts: ['Quetzal Åström 鶴の恩返し', 'Quetzal', '鶴の恩返し'],
  },
  {
    type: 'varchar',
    value: 'Wobbegong-7781',
    parameter: 'Wobbegong-7781',
    texts: ['Wobbegong-7781'],
  },
  { type: 'boolean', value: true, parameter: true, texts: [] },
  { type: 'bytea', value: bytea, parameter: bytea, texts: [] },
  {
    type: 'date',
    value: Date.UTC(1947, 10, 23) / 86_400_000,
    parameter: '1947-11-23',
    texts: ['1947-11-23'],
  },
  {
    type: 'timestamp',
    value: BigInt(Date.parse('1953-04-25T11:22:33Z')) * 1_000n + 456_789n,
    parameter: timestamp,
    texts: [timestamp, '11:22:33.456789'],
  },
  {
    type: 'timestamptz',
    value: BigInt(Date.parse(timestamptz)) * 1_000n,
    parameter: new Date(timestamptz),
    texts: [timestamptz, '1961-08-17 05:06:07'],
  },
  {
    type: 'uuid',
    value: '5f3a9c2e-71d4-4b8e-9a06-c1d2e3f4a5b6',
    parameter: '5f3a9c2e-71d4-4b8e-9a06-c1d2e3f4a5b6',
    texts: ['5f3a9c2e-71d4-4b8e-9a06-c1d2e3f4a5b6', '5f3a9c2e71d44b8e9a06c1d2e3f4a5b6'],
  },
  {
    type: 'jsonb',
    value: '{"axolotl": "Nudibranch-42"}',
    parameter: { axolotl: 'Nudibranch-42' },
    texts: ['axolotl', 'Nudibranch-42'],
  },
];

export const columnOf = (type: TypeName): string => `pangolin_${type.replaceAll(' ', '_')}`;

/** Names and texts that are no values of a column. */
export const canaryTexts = {
  tenant: 'okapi-clinic-tenant',
  table: 'narwhal_cases',
  column: 'pangolin_',
  unique: 'fossa_is_unique',
  check: 'binturong_is_checked',
  stream: 'tarsier-stream',
  actor: 'Dr. Kinkajou Öberg',
  reason: 'serval was misfiled',
  requestId: 'dugong-request-0001',
  checkLiteral: 'Zorilla-in-check',
  defaultLiteral: 'Margay-by-default',
  insertLiteral: 'Ocelot-inserted',
  updateLiteral: 'Caracal-updated',
  whereLiteral: 'Jaguarundi-sought',
  eventKey: 'gharial',
  eventText: 'Caiman-appended',
  changedText: 'Manatee-in-a-transaction',
  commentText: 'Hoatzin-in-a-comment',
};

/** What must not be in any message either: everything but names, which a caller has to be told. */
export const secretTexts: readonly string[] = [
  ...canaryValues.flatMap(({ texts }) => texts).filter((text) => text.length > 5),
  ...Object.entries(canaryTexts)
    .filter(([name]) => !['tenant', 'table', 'column', 'unique', 'check', 'stream'].includes(name))
    .map(([, text]) => text),
  Buffer.from(bytea).toString('hex'),
];

/** Everything that may be found of the canaries, in every form. */
export function canaryNeedles(): Needle[] {
  const types = canaryValues.map(({ type }) => ({ name: type }));
  const values = canaryValues.map(({ value }) => value);
  const row = new Writer();
  rowCodec(types).encode(row, values);
  const key = Buffer.from(encodeKey(types, values), 'latin1');
  return [
    ...canaryValues.flatMap(({ type, value, texts }) => [
      ...texts.flatMap((text) => textForms(type, text)),
      ...ownForms(type, { name: type }, value),
    ]),
    ...Object.entries(canaryTexts).flatMap(([what, text]) => textForms(what, text)),
    ...byteForms('bytea', bytea),
    ...windowForms('row', row.finish()),
    ...windowForms('key', key),
  ];
}
