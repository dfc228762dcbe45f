/** Random tables and random sequences of statements over them. */
import fc from 'fast-check';
import { type Condition, conditionFor } from './conditions.ts';
import type {
  Assignment,
  Column,
  Delete,
  Insert,
  Setter,
  SortKey,
  Table,
  Update,
  Write,
} from './model.ts';
import {
  type ColumnType,
  columnTypes,
  fittingFor,
  isNumber,
  literalFor,
  type Operand,
  operandFor,
} from './terms.ts';

export interface Select {
  readonly kind: 'select';
  readonly what: 'rows' | 'count';
  /** Ordinals of the columns asked for; undefined: *. */
  readonly outputs: readonly number[] | undefined;
  readonly where: Condition | undefined;
  readonly order: readonly SortKey[];
  readonly limit: Count | undefined;
  readonly offset: Count | undefined;
  /** Where in time it reads; undefined: now. */
  readonly at: ReadPoint | undefined;
}
export interface Count {
  readonly value: number | null;
  readonly asParameter: boolean;
}
export interface ReadPoint {
  /** From the table's beginning (0) to now (1): which version. */
  readonly age: number;
  /** Positions or microseconds from where that version begins. */
  readonly shift: number;
  readonly by:
    | 'position'
    | 'positionParameter'
    | 'timestamp'
    | 'timestampParameter'
    | 'queryAt'
    | 'queryAtDate';
}

export interface TransactionStep {
  readonly kind: 'transaction';
  readonly steps: readonly (Write | Select)[];
  readonly ends: 'commit' | 'throw';
}
/** Writes sent at once, none awaited before the next: they are decided on each other, uncommitted. */
export interface Batch {
  readonly kind: 'batch';
  readonly writes: readonly Write[];
}
export type Step = Write | Select | TransactionStep | Batch;

export interface Program {
  readonly table: Table;
  readonly steps: readonly Step[];
}

const names = [
  'a',
  'b',
  'c',
  'd',
  'Name',
  'select',
  'Größe 🦉',
  '__proto__',
  'constructor',
  'toString',
  'q"uote',
  'x y',
];

interface ColumnShape {
  readonly type: ColumnType;
  readonly notNull: boolean;
  readonly fallback: Operand | undefined;
}

const columnShape: fc.Arbitrary<ColumnShape> = fc.constantFrom(...columnTypes).chain((type) =>
  fc.record({
    type: fc.constant(type),
    notNull: fc.nat(3).map((choice) => choice === 0),
    fallback: fc.option(literalFor(type), { nil: undefined, freq: 2 }),
  }),
);

const ordinals = (count: number, min: number, max = count): fc.Arbitrary<number[]> =>
  fc.shuffledSubarray(
    Array.from({ length: count }, (_, index) => index),
    { minLength: Math.min(min, count), maxLength: Math.min(max, count) },
  );

const tables: fc.Arbitrary<Table> = fc
  .tuple(
    fc.array(columnShape, { minLength: 1, maxLength: 6 }),
    fc.shuffledSubarray(names, { minLength: 6 }),
  )
  .map(([shapes, chosen]) =>
    shapes.map((shape, index): Column => ({ ...shape, name: chosen[index] as string })),
  )
  .chain((columns) =>
    fc.record({
      columns: fc.constant(columns),
      primaryKey: fc.oneof(
        { weight: 2, arbitrary: fc.constant([]) },
        { weight: 4, arbitrary: ordinals(columns.length, 1, 1) },
        { weight: 3, arbitrary: ordinals(columns.length, 1, 3) },
      ),
      uniques: fc.oneof(
        { weight: 1, arbitrary: fc.constant([]) },
        {
          weight: 1,
          arbitrary: fc.array(ordinals(columns.length, 1, 2), { minLength: 1, maxLength: 2 }),
        },
      ),
      checks: fc.oneof(
        { weight: 5, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.tuple(conditionFor(columns, true)) },
      ),
    }),
  );

const where = (table: Table): fc.Arbitrary<Condition | undefined> =>
  fc.option(conditionFor(table.columns), { nil: undefined, freq: 6 });

/** Inserts that mostly succeed: rows that are refused teach little once there are many of them. */
function insertFor(table: Table, rowsMax = 4): fc.Arbitrary<Insert> {
  const all = table.columns.map((_, ordinal) => ordinal);
  const isRequired = (ordinal: number): boolean =>
    (table.columns[ordinal] as Column).notNull || table.primaryKey.includes(ordinal);
  const needed = all.filter(
    (ordinal) => isRequired(ordinal) && (table.columns[ordinal] as Column).fallback === undefined,
  );
  const cell = (ordinal: number): fc.Arbitrary<Operand | 'DEFAULT'> => {
    const { type } = table.columns[ordinal] as Column;
    return fc.oneof(
      { weight: 60, arbitrary: fittingFor(type) },
      { weight: isRequired(ordinal) ? 1 : 8, arbitrary: operandFor(type) },
      { weight: needed.includes(ordinal) ? 1 : 8, arbitrary: fc.constant('DEFAULT' as const) },
    );
  };
  const some = ordinals(all.length, 1);
  const targets = fc.oneof(
    { weight: 6, arbitrary: fc.constant(undefined) },
    { weight: 2, arbitrary: ordinals(all.length, all.length) },
    { weight: 2, arbitrary: some.map((named) => [...new Set([...named, ...needed])]) },
    { weight: 1, arbitrary: some },
  );
  return targets.chain((named) => {
    const row = fc.tuple(...(named ?? all).map(cell));
    return fc.record({
      kind: fc.constant('insert' as const),
      targets: fc.constant(named),
      rows: fc.array(row, { minLength: 1, maxLength: rowsMax, size: 'max' }),
      returning: fc.boolean(),
    });
  });
}

function setterFor(table: Table, ordinal: number): fc.Arbitrary<Setter> {
  const { base } = (table.columns[ordinal] as Column).type;
  const operand = operandFor((table.columns[ordinal] as Column).type).map((each): Setter => ({
    kind: 'operand',
    operand: each,
  }));
  const sources = table.columns.flatMap((column, index) =>
    column.type.base === base ? [index] : [],
  );
  const options: fc.WeightedArbitrary<Setter>[] = [
    { weight: 4, arbitrary: operand },
    { weight: 1, arbitrary: fc.constant({ kind: 'default' as const }) },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom(...sources)
        .map((source): Setter => ({ kind: 'column', ordinal: source })),
    },
  ];
  if (isNumber(base)) {
    options.push({
      weight: 4,
      arbitrary: fc
        .constantFrom(1, -1, 2, 40_000)
        .map((amount): Setter => ({ kind: 'add', amount })),
    });
  }
  if (base === 'text' || base === 'varchar') {
    options.push({
      weight: 2,
      arbitrary: fc.constantFrom('x', ' ', "'").map((text): Setter => ({ kind: 'append', text })),
    });
  }
  return fc.oneof(...options);
}

function updateFor(table: Table): fc.Arbitrary<Update> {
  const assignments = ordinals(table.columns.length, 1, 3).chain((set) =>
    fc.tuple(
      ...set.map((ordinal) =>
        setterFor(table, ordinal).map((setter): Assignment => ({ ordinal, setter })),
      ),
    ),
  );
  return fc.record({
    kind: fc.constant('update' as const),
    assignments,
    where: where(table),
    returning: fc.boolean(),
  });
}

/** Updates that move all keys by one, each onto the place of another row; undefined without a number in a key. */
function shiftFor(table: Table): fc.Arbitrary<Update> | undefined {
  const inKeys = [...table.primaryKey, ...table.uniques.flat()];
  const numbers = inKeys.filter((ordinal) =>
    isNumber((table.columns[ordinal] as Column).type.base),
  );
  if (numbers.length === 0) return undefined;
  return fc.record({
    kind: fc.constant('update' as const),
    assignments: fc
      .tuple(fc.constantFrom(...numbers), fc.constantFrom(1, -1))
      .map(([ordinal, amount]): Assignment[] => [{ ordinal, setter: { kind: 'add', amount } }]),
    where: fc.constant(undefined),
    returning: fc.boolean(),
  });
}

const deleteFor = (table: Table): fc.Arbitrary<Delete> =>
  fc.record({
    kind: fc.constant('delete' as const),
    where: conditionFor(table.columns),
    returning: fc.boolean(),
  });

const point: fc.Arbitrary<ReadPoint> = fc.record({
  // Not fc.double, half of whose values are next to nothing.
  age: fc.nat(999).map((part) => part / 999),
  shift: fc.constantFrom(0, 0, -1, 1, 100),
  by: fc.constantFrom(
    'position',
    'positionParameter',
    'timestamp',
    'timestampParameter',
    'queryAt',
    'queryAtDate',
  ),
});
const count = fc.record({
  value: fc.oneof({ weight: 6, arbitrary: fc.nat(6) }, { weight: 1, arbitrary: fc.constant(null) }),
  asParameter: fc.boolean(),
});

function selectFor(table: Table, at: fc.Arbitrary<ReadPoint | undefined>): fc.Arbitrary<Select> {
  const key = (ordinal: number): fc.Arbitrary<SortKey> =>
    fc.record({
      ordinal: fc.constant(ordinal),
      direction: fc.constantFrom('', 'ASC', 'DESC'),
      nulls: fc.constantFrom('', '', 'NULLS FIRST', 'NULLS LAST'),
    });
  return fc.record({
    kind: fc.constant('select' as const),
    what: fc.constantFrom('rows', 'rows', 'rows', 'count'),
    outputs: fc.option(ordinals(table.columns.length, 1), { nil: undefined, freq: 2 }),
    where: where(table),
    order: ordinals(table.columns.length, 0).chain((chosen) => fc.tuple(...chosen.map(key))),
    limit: fc.option(count, { nil: undefined, freq: 2 }),
    offset: fc.option(count, { nil: undefined, freq: 2 }),
    at,
  });
}

/** A table and what happens to it. */
export const programs: fc.Arbitrary<Program> = tables.chain((table) => {
  const shift = shiftFor(table);
  const write: fc.Arbitrary<Write> = fc.oneof(
    { weight: 5, arbitrary: insertFor(table) },
    { weight: 4, arbitrary: updateFor(table) },
    { weight: 2, arbitrary: deleteFor(table) },
    ...(shift === undefined ? [] : [{ weight: 2, arbitrary: shift }]),
  );
  const now = fc.constant(undefined);
  const transaction = fc.record({
    kind: fc.constant('transaction' as const),
    steps: fc.array(
      fc.oneof({ weight: 2, arbitrary: write }, { weight: 1, arbitrary: selectFor(table, now) }),
      { minLength: 1, maxLength: 5 },
    ),
    ends: fc.constantFrom('commit' as const, 'commit' as const, 'throw' as const),
  });
  const batch = fc.record({
    kind: fc.constant('batch' as const),
    writes: fc.array(write, { minLength: 2, maxLength: 4 }),
  });
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 8, arbitrary: write },
    { weight: 5, arbitrary: selectFor(table, now) },
    { weight: 3, arbitrary: selectFor(table, point) },
    { weight: 2, arbitrary: transaction },
    { weight: 2, arbitrary: batch },
  );
  // A few rows first, so that what follows finds some.
  const beginning = fc
    .array(insertFor(table, 3), { minLength: 2, maxLength: 5, size: 'max' })
    .map((writes): Batch => ({ kind: 'batch', writes }));
  return fc.record({
    table: fc.constant(table),
    steps: fc
      .tuple(beginning, fc.array(step, { minLength: 2, maxLength: 7 }))
      .map(([first, rest]) => [first, ...rest]),
  });
});
