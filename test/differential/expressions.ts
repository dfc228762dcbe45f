/** Random expressions of a wanted type over the columns in scope. */
import type { Dice } from './dice.ts';
import {
  exactTypes,
  numberTypes,
  placedLiteral,
  quoted,
  textTypes,
  timeTypes,
  type Type,
  typedLiteral,
  types,
} from './literals.ts';
import { expression, list, optional, sequence, type Tree } from './tree.ts';

export interface ScopeColumn {
  readonly sql: string;
  readonly type: Type;
}

/** Where an expression stands. */
export interface Scope {
  readonly dice: Dice;
  readonly columns: readonly ScopeColumn[];
  /** A subquery that yields one column of this type, with this scope around it; absent where none may stand. */
  readonly subquery?: (type: Type, single: boolean) => Tree;
  /** An aggregate of this type; absent where none may stand. */
  readonly aggregate?: (type: Type) => Tree | undefined;
  /** How many mistakes of type or name may still be made. */
  readonly mistakes?: { left: number };
}

type Maker = (scope: Scope, depth: number) => Tree | undefined;

/** An expression of `type`, at most `depth` operators deep. */
export function randomExpression(scope: Scope, type: Type, depth: number): Tree {
  const { dice, mistakes } = scope;
  if (mistakes !== undefined && mistakes.left > 0 && dice.chance(0.2)) {
    mistakes.left -= 1;
    if (dice.chance(0.3)) return expression(type, dice.pick(unknownNames));
    return expression(type, randomExpression(scope, dice.pick(types), depth));
  }
  if (depth > 0 && !dice.chance(0.25)) {
    for (let attempt = 0; attempt < 3; attempt++) {
      const maker = dice.chance(0.3) ? dice.pick(anyType)(type) : dice.pick(makers[type]);
      const made = maker(scope, depth - 1);
      if (made !== undefined) return expression(type, made);
    }
  }
  return expression(type, leaf(scope, type));
}

const unknownNames = ['r1.nothing', 'nobody.c1', 'nothing'];

/** A type that a column in scope has, mostly, and that PostgreSQL orders. */
function familiarType({ dice, columns }: Scope): Type {
  const present = columns.map(({ type }) => type).filter((type) => type !== 'jsonb');
  return present.length > 0 && dice.chance(0.75) ? dice.pick(present) : dice.pick(comparable);
}

function leaf({ dice, columns, aggregate }: Scope, type: Type): string | Tree {
  if (aggregate !== undefined && dice.chance(0.5)) {
    const made = aggregate(type);
    if (made !== undefined) return made;
  }
  const fitting = columns.filter((column) => column.type === type);
  if (fitting.length > 0 && dice.chance(0.75)) return dice.pick(fitting).sql;
  return dice.chance(0.1) ? `NULL::${type}` : typedLiteral(dice, type);
}

const of =
  (type: Type) =>
  (scope: Scope, depth: number): Tree =>
    randomExpression(scope, type, depth);
const boolean = of('boolean');

/** `parts` with expressions of the named types for the names in braces: '{integer} + {integer}'. */
function template(text: string): Maker {
  const parts = text.split(/\{([^}]+)\}/);
  return (scope, depth) =>
    sequence(
      ...parts.map((part, index) =>
        index % 2 === 0 ? part : randomExpression(scope, part as Type, depth),
      ),
    );
}

const templates = (...texts: readonly string[]): Maker[] => texts.map(template);

/** Forms that every type has. */
const anyType: readonly ((type: Type) => Maker)[] = [
  (type) => (scope, depth) =>
    sequence(
      'CASE',
      list(
        scope.dice.times(1, 2, () =>
          sequence(' WHEN ', boolean(scope, depth), ' THEN ', of(type)(scope, depth)),
        ),
        '',
      ),
      optional(' ELSE ', of(type)(scope, depth)),
      ' END',
    ),
  (type) => (scope, depth) => {
    const subject = familiarType(scope);
    return sequence(
      'CASE ',
      of(subject)(scope, depth),
      list(
        scope.dice.times(1, 2, () =>
          sequence(' WHEN ', of(subject)(scope, depth), ' THEN ', of(type)(scope, depth)),
        ),
        '',
      ),
      optional(' ELSE ', of(type)(scope, depth)),
      ' END',
    );
  },
  (type) => (scope, depth) =>
    sequence('COALESCE(', list(scope.dice.times(1, 3, () => of(type)(scope, depth))), ')'),
  (type) => (scope, depth) => {
    if (type === 'jsonb') return undefined;
    return sequence('NULLIF(', of(type)(scope, depth), ', ', of(type)(scope, depth), ')');
  },
  (type) => (scope, depth) => {
    const sources = castsTo(type);
    if (sources.length === 0) return undefined;
    const inner = of(scope.dice.pick(sources))(scope, depth);
    return scope.dice.chance(0.5)
      ? sequence('CAST(', inner, ` AS ${type})`)
      : sequence('(', inner, `)::${type}`);
  },
  (type) => (scope, depth) => {
    if (type === 'jsonb') return undefined;
    const name = scope.dice.pick(['greatest', 'least']);
    return sequence(`${name}(`, list(scope.dice.times(1, 3, () => of(type)(scope, depth))), ')');
  },
  (type) => (scope) => scope.subquery?.(type, true),
];

/** Types with an explicit cast to this one, besides text, which fails for most values. */
function castsTo(type: Type): readonly Type[] {
  if (textTypes.includes(type)) return types;
  if (type === 'integer') return [...numberTypes, 'boolean'];
  if (numberTypes.includes(type)) return numberTypes;
  if (timeTypes.includes(type)) return timeTypes;
  return type === 'boolean' ? ['integer'] : [];
}

/** Types that PostgreSQL orders. */
const comparable: readonly Type[] = types.filter((type) => type !== 'jsonb');
const comparisons = ['=', '<>', '<', '<=', '>', '>=', '!='];

/** Two types that PostgreSQL compares. */
function comparedTypes(scope: Scope): readonly [Type, Type] {
  const { dice } = scope;
  const left = dice.chance(0.05) ? dice.pick(types) : familiarType(scope);
  const family = [numberTypes, timeTypes, textTypes].find((each) => each.includes(left));
  return [left, family !== undefined && dice.chance(0.4) ? dice.pick(family) : left];
}

const compare: Maker = (scope, depth) => {
  const [left, right] = comparedTypes(scope);
  const operator = scope.dice.pick(comparisons);
  const other = scope.dice.chance(0.3) ? placedLiteral(scope.dice, left) : of(right)(scope, depth);
  return sequence('(', of(left)(scope, depth), ` ${operator} `, other, ')');
};

const distinctFrom: Maker = (scope, depth) => {
  const [left, right] = comparedTypes(scope);
  const not = scope.dice.chance(0.5) ? 'NOT ' : '';
  return sequence(
    '(',
    of(left)(scope, depth),
    ` IS ${not}DISTINCT FROM `,
    of(right)(scope, depth),
    ')',
  );
};

const isNull: Maker = (scope, depth) =>
  sequence(
    '(',
    of(scope.dice.pick(types))(scope, depth),
    scope.dice.chance(0.5) ? ' IS NULL)' : ' IS NOT NULL)',
  );

const inList: Maker = (scope, depth) => {
  const type = familiarType(scope);
  const items = scope.dice.times(1, 5, () =>
    scope.dice.chance(0.7) ? placedLiteral(scope.dice, type, 0.05) : of(type)(scope, depth),
  );
  const not = scope.dice.chance(0.3) ? ' NOT' : '';
  return sequence('(', of(type)(scope, depth), `${not} IN (`, list(items), '))');
};

const between: Maker = (scope, depth) => {
  const type = familiarType(scope);
  const not = scope.dice.chance(0.3) ? ' NOT' : '';
  const bound = (): Tree =>
    scope.dice.chance(0.6) ? placedLiteral(scope.dice, type) : of(type)(scope, depth);
  return sequence('(', of(type)(scope, depth), `${not} BETWEEN `, bound(), ' AND ', bound(), ')');
};

const patterns = ['%', 'a%', '%b', '_b%', '%\\%%', 'ab_', '', '%B%', 'a\\_b', '%漢%', '__'];

const like: Maker = (scope, depth) => {
  const { dice } = scope;
  const operator = dice.pick(['LIKE', 'NOT LIKE', 'ILIKE', 'NOT ILIKE']);
  const pattern = dice.chance(0.85) ? quoted(dice.pick(patterns)) : of('text')(scope, depth);
  const escape = dice.chance(0.1) ? optional(" ESCAPE '!'") : '';
  return sequence('(', of('text')(scope, depth), ` ${operator} `, pattern, escape, ')');
};

const logic: Maker = (scope, depth) => {
  const word = scope.dice.pick([' AND ', ' OR ']);
  return sequence(
    '(',
    list(
      scope.dice.times(2, 3, () => boolean(scope, depth)),
      word,
    ),
    ')',
  );
};

const truth: Maker = (scope, depth) => {
  const word = scope.dice.pick(['TRUE', 'FALSE', 'UNKNOWN']);
  const not = scope.dice.chance(0.3) ? 'NOT ' : '';
  return sequence('(', boolean(scope, depth), ` IS ${not}${word})`);
};

const inSubquery: Maker = (scope, depth) => {
  const type = familiarType(scope);
  const query = scope.subquery?.(type, false);
  if (query === undefined) return undefined;
  const not = scope.dice.chance(0.3) ? ' NOT' : '';
  return sequence('(', of(type)(scope, depth), `${not} IN `, query, ')');
};

/** A comparison with any or all rows of a subquery. */
const quantified: Maker = (scope, depth) => {
  const type = familiarType(scope);
  const query = scope.subquery?.(type, false);
  if (query === undefined) return undefined;
  const words = `${scope.dice.pick(comparisons)} ${scope.dice.pick(['ANY', 'ALL', 'SOME'])} `;
  return sequence('(', of(type)(scope, depth), ` ${words}`, query, ')');
};

/** Rows of two, compared in their order. */
const rowCompare: Maker = (scope, depth) => {
  const [first, second] = [familiarType(scope), familiarType(scope)];
  const row = (): Tree =>
    sequence('(', of(first)(scope, depth), ', ', of(second)(scope, depth), ')');
  return sequence('(', row(), ` ${scope.dice.pick(comparisons)} `, row(), ')');
};

/** Alternatives for one column: what an index may serve by several ranges. */
const sameColumn: Maker = (scope, depth) => {
  const { dice, columns } = scope;
  const fitting = columns.filter(({ type }) => type !== 'jsonb' && type !== 'boolean');
  if (fitting.length === 0) return undefined;
  const { sql, type } = dice.pick(fitting);
  const literal = (): string => typedLiteral(dice, type);
  const part = (): Tree => {
    const form = dice.below(7);
    if (form === 0) return `${sql} IS ${dice.chance(0.5) ? 'NOT ' : ''}NULL`;
    if (form === 1) return `${sql} IN (${literal()}, ${literal()})`;
    if (form === 2) return `${sql} BETWEEN ${literal()} AND ${literal()}`;
    if (form === 3) return sequence(`${sql} = ${literal()} AND `, boolean(scope, depth));
    return `${sql} ${dice.pick(comparisons)} ${literal()}`;
  };
  return sequence('(', list(dice.times(2, 3, part), ' OR '), ')');
};

const spans = [
  '1 day',
  '-1 month',
  '1 year 2 days',
  '36 hours',
  '00:30',
  '1.5 days',
  '1 mon -1 day',
];

/** A span of time, mostly a literal. */
const span = (scope: Scope, depth: number): Tree => {
  const { dice } = scope;
  const type = dice.pick(['timestamp', 'timestamptz'] as const);
  if (dice.chance(0.2))
    return sequence('(', of(type)(scope, depth), ' - ', of(type)(scope, depth), ')');
  const literal = `interval '${dice.pick(spans)}'`;
  if (dice.chance(0.8)) return literal;
  return dice.pick([
    `(2 * ${literal})`,
    `(${literal} / 3)`,
    `(- ${literal})`,
    `(${literal} + '1 h')`,
  ]);
};

const shifted =
  (type: Type, from: Type): Maker =>
  (scope, depth) =>
    sequence(
      '(',
      of(from)(scope, depth),
      scope.dice.pick([' + ', ' - ']),
      span(scope, depth),
      `)`,
      type === from ? '' : `::${type}`,
    );

const spanField: Maker = (scope, depth) => {
  const field = scope.dice.pick(['epoch', 'day', 'hour', 'minute', 'second', 'month', 'year']);
  return sequence(`extract(${field} FROM `, span(scope, depth), ')');
};

const spanText: Maker = (scope, depth) => sequence(span(scope, depth), '::text');

const spanCompare: Maker = (scope, depth) =>
  sequence('(', span(scope, depth), ` ${scope.dice.pick(comparisons)} `, span(scope, depth), ')');

const ageText: Maker = (scope, depth) =>
  sequence('age(', of('timestamp')(scope, depth), ', ', of('timestamp')(scope, depth), ')::text');

const exists: Maker = (scope) => {
  const query = scope.subquery?.(scope.dice.pick(types), false);
  if (query === undefined) return undefined;
  return sequence(scope.dice.chance(0.3) ? '(NOT EXISTS ' : '(EXISTS ', query, ')');
};

const arithmetic = (type: Type): Maker[] => [
  ...templates(
    `({${type}} + {${type}})`,
    `({${type}} - {${type}})`,
    `({${type}} * {${type}})`,
    `({${type}} / NULLIF({${type}}, 0))`,
    `({${type}} / CAST(3 AS ${type}))`,
    `({${type}} / CAST(-7 AS ${type}))`,
    `(- {${type}})`,
    `abs({${type}})`,
  ),
  (scope, depth) =>
    scope.dice.chance(0.3)
      ? sequence('(', of(type)(scope, depth), ' / ', of(type)(scope, depth), ')')
      : undefined,
];
const remainder = (type: Type): Maker[] => templates(`({${type}} % NULLIF({${type}}, 0))`);

/** What a binary operator makes of two kinds of numbers, by the wider one. */
const mixed = (type: Type, narrower: readonly Type[]): Maker[] =>
  narrower.flatMap((other) =>
    templates(`({${type}} + {${other}})`, `({${other}} * {${type}})`, `({${other}} - {${type}})`),
  );

const times = [
  'microsecond',
  'second',
  'minute',
  'hour',
  'day',
  'week',
  'month',
  'quarter',
  'year',
  'decade',
  'century',
];
const fields = [...times, 'dow', 'doy', 'isodow', 'isoyear', 'epoch', 'milliseconds'];

const extract: Maker = (scope, depth) => {
  const { dice } = scope;
  const type = dice.pick(['timestamp', 'timestamptz', 'date'] as const);
  const dateFields = fields.filter(
    (field) => !['microsecond', 'second', 'minute', 'hour', 'milliseconds'].includes(field),
  );
  const field = dice.pick(type === 'date' ? dateFields : fields);
  return sequence(`extract(${field} FROM `, of(type)(scope, depth), ')');
};

const truncate =
  (type: 'timestamp' | 'timestamptz'): Maker =>
  (scope, depth) =>
    sequence(`date_trunc('${scope.dice.pick(times)}', `, of(type)(scope, depth), ')');

const concat: Maker = (scope, depth) =>
  sequence(
    'concat(',
    list(scope.dice.times(1, 4, () => of(scope.dice.pick(types))(scope, depth))),
    ')',
  );

const textForms = templates(
  '({text} || {text})',
  '({text} || {integer})',
  '({varchar} || {text})',
  'lower({text})',
  'upper({text})',
  'trim({text})',
  "trim(BOTH 'a' FROM {text})",
  "trim(LEADING ' a' FROM {text})",
  "rtrim({text}, 'bc')",
  'ltrim({text})',
  "btrim({text}, 'x')",
  'substr({text}, {integer})',
  'substr({text}, 2, 2)',
  'substring({text} FROM 2 FOR 1)',
  'substring({text} FROM 2)',
  "({jsonb} ->> 'a')",
  '({jsonb} ->> 0)',
  'left({text}, 2)',
  'left({text}, {smallint})',
  'right({text}, -1)',
  'right({text}, {smallint})',
  "replace({text}, 'b', {text})",
  'reverse({text})',
  'repeat({text}, 2)',
  "split_part({text}, 'b', 1)",
  "translate({text}, 'ab', 'x')",
);

const makers: Readonly<Record<Type, readonly Maker[]>> = {
  smallint: [...arithmetic('smallint'), ...remainder('smallint')],
  integer: [
    ...arithmetic('integer'),
    ...remainder('integer'),
    ...mixed('integer', ['smallint']),
    ...templates(
      'length({text})',
      'char_length({varchar})',
      'octet_length({text})',
      'octet_length({bytea})',
      'position({text} IN {text})',
      'strpos({text}, {text})',
      'ascii({text})',
      'length({bytea})',
      '({date} - {date})',
      'mod({integer}, NULLIF({integer}, 0))',
    ),
  ],
  bigint: [
    ...arithmetic('bigint'),
    ...remainder('bigint'),
    ...mixed('bigint', ['smallint', 'integer']),
  ],
  numeric: [
    ...arithmetic('numeric'),
    ...remainder('numeric'),
    ...mixed('numeric', exactTypes.slice(0, 3)),
    ...templates(
      'round({numeric})',
      'round({numeric}, 1)',
      'round({numeric}, -1)',
      'ceil({numeric})',
      'floor({numeric})',
      'trunc({numeric})',
      'trunc({numeric}, 1)',
      'sign({numeric})',
      'mod({numeric}, NULLIF({numeric}, 0))',
    ),
    extract,
    spanField,
  ],
  real: [...arithmetic('real')],
  'double precision': [
    ...arithmetic('double precision'),
    ...mixed('double precision', ['integer', 'real', 'numeric', 'bigint']),
    ...templates(
      'round({double precision})',
      'ceiling({double precision})',
      'floor({double precision})',
      'trunc({double precision})',
      'sign({double precision})',
      'sqrt(abs({double precision}))',
    ),
  ],
  text: [...textForms, concat, spanText, ageText],
  varchar: templates('CAST({text} AS varchar(3))', 'CAST({integer} AS varchar(2))'),
  boolean: [
    compare,
    compare,
    compare,
    distinctFrom,
    isNull,
    inList,
    between,
    like,
    logic,
    logic,
    logic,
    truth,
    inSubquery,
    exists,
    quantified,
    rowCompare,
    sameColumn,
    sameColumn,
    spanCompare,
    ...templates(
      '(NOT {boolean})',
      '({jsonb} @> {jsonb})',
      '({jsonb} <@ {jsonb})',
      "starts_with({text}, 'a')",
      '({date} BETWEEN {timestamp} AND {date})',
    ),
  ],
  bytea: templates('({bytea} || {bytea})'),
  date: templates(
    'make_date(2024, 2, {smallint})',
    '({date} + 1)',
    '({date} - {smallint})',
    '(2 + {date})',
  ),
  timestamp: [
    truncate('timestamp'),
    shifted('timestamp', 'timestamp'),
    shifted('timestamp', 'date'),
  ],
  timestamptz: [truncate('timestamptz'), shifted('timestamptz', 'timestamptz')],
  uuid: templates('COALESCE({uuid}, {uuid})'),
  jsonb: templates(
    "({jsonb} -> 'a')",
    '({jsonb} -> 0)',
    "({jsonb} -> 'b' -> 1)",
    '({jsonb} -> -1)',
  ),
};
