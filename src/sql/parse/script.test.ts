import { beforeAll, describe, expect, test } from 'vitest';
import { limits, VerityError } from '../../base/index.ts';
import { loadParser, parseScript } from './script.ts';

beforeAll(loadParser);

/** Code and the rest of the text from the error's offset on, cut at eight characters. */
function failure(text: string): readonly [code: string, rest: string | undefined] {
  try {
    parseScript(text);
  } catch (error) {
    if (!(error instanceof VerityError)) throw error;
    const offset = error.details['offset'] as number | undefined;
    return [error.code, offset === undefined ? undefined : text.slice(offset, offset + 8)];
  }
  throw new Error(`no error: ${text}`);
}

describe('splitting', () => {
  test('a script splits at its semicolons, and each statement keeps its place and kind', () => {
    const text = " select 'é;' ; -- none;\n begin;;insert into t values (1) ; /* ; */ end";
    expect(parseScript(text).map(({ kind, text: own, offset }) => [kind, own, offset])).toEqual([
      ['select', "select 'é;'", 1],
      ['begin', 'begin', 25],
      ['insert', 'insert into t values (1)', 32],
      ['commit', 'end', 67],
    ]);
  });

  test.each(['', ' ', ';;', '-- x', '/* a /* b */ */'])('%j holds no statement', (text) => {
    expect(parseScript(text)).toEqual([]);
  });

  test.each([
    ['begin', 'begin'],
    ['start transaction', 'begin'],
    ['commit', 'commit'],
    ['end', 'commit'],
    ['rollback', 'rollback'],
    ['abort', 'rollback'],
    ['update t set a = 1', 'update'],
    ['delete from t', 'delete'],
    ['create table t (a int)', 'createTable'],
    ['table t', 'select'],
  ])('%s is a %s', (text, kind) => {
    expect(parseScript(text)[0]?.kind).toBe(kind);
  });
});

describe('AS OF', () => {
  test.each([
    ['select * from t as of position 5', { kind: 'position', value: 5n }],
    ['select * from t AS /* x */ OF -- y\n Position 1_000', { kind: 'position', value: 1000n }],
    ['select * from t as of position $12', { kind: 'positionParameter', number: 12 }],
    [
      "select 1 as of timestamp '2026-01-31T12:00:00Z'",
      { kind: 'timestamp', value: 1_769_860_800_000_000n },
    ],
    [
      "select 1 as of timestamp '2026-01-31 12:00'",
      { kind: 'timestamp', value: 1_769_860_800_000_000n },
    ],
    [
      'select 1 as of timestamp $$2026-01-31$$',
      { kind: 'timestamp', value: 1_769_817_600_000_000n },
    ],
    ['select 1 as of timestamp $2', { kind: 'timestampParameter', number: 2 }],
    ["select position('a' in 'b') as of position 0", { kind: 'position', value: 0n }],
  ])('%s', (text, asOf) => {
    const [statement] = parseScript(`${text} ;`);
    expect(statement?.asOf).toEqual(asOf);
    expect(statement?.text.toLowerCase()).not.toContain(' of ');
  });

  test.each([
    "select 'as of position 5'",
    'select 1 /* as of position 5 */',
    'select 1 -- as of position 5',
    'select $$as of position 5$$',
    'select "as of position 5" from t',
    'select a as of, position from t',
    'select 1 as of',
    "select E'\\' as of position 5'",
  ])('%s has none', (text) => {
    expect(parseScript(text)[0]?.asOf).toBeUndefined();
  });

  test.each([
    ['select 1 as of position 5 as of position 6', 'as of po'],
    ["select 'é😀' as of position 5 where a = 1", 'as of po'],
    ['select (select 1 as of position 5)', 'as of po'],
    ["select 'é' as of position -1", '-1'],
    ['select 1 as of position 1.5', '1.5'],
    ["select 1 as of position 'x'", "'x'"],
    ['select 1 as of timestamp 5', '5'],
  ])('%s is a syntax error at the offending place', (text, rest) => {
    expect(failure(text)).toEqual(['SYNTAX_ERROR', rest]);
  });

  test.each(["'secret'", "'infinity'", "'-infinity'", "E'2026-13-01'"])(
    'AS OF TIMESTAMP %s names no time',
    (literal) => {
      const [code, rest] = failure(`select 1 as of timestamp ${literal}`);
      expect(['INVALID_DATETIME', 'DATETIME_OUT_OF_RANGE']).toContain(code);
      expect(rest).toBe(literal.slice(0, 8));
    },
  );

  test('only SELECT takes it', () => {
    expect(failure("insert into t values ('é') as of position 5")).toEqual([
      'UNSUPPORTED_SQL',
      'as of po',
    ]);
  });

  test('what follows a clause with characters of many bytes keeps its offsets', () => {
    expect(failure("select 1 as of timestamp $é$2026-01-01$é$; select 'é' , from")).toEqual([
      'SYNTAX_ERROR',
      'from',
    ]);
  });
});

describe('normalised text', () => {
  test.each([
    [
      "select 'a''b', -1, +5, - 3, a - 1, a -1, (-1), 1 - -1 from t -- c",
      'select $1, $2, $3, $4, a - $5, a -$6, ($7), $8 - $9 from t',
    ],
    [
      "insert into t values (1,null,true,E'\\'x',$$s$$,x'ff',b'1',n'x',date '2020-01-01',-1.5e3,$1)",
      'insert into t values ($2,$3,$4,$5,$6,$7,$8,$9,date $10,$11,$1)',
    ],
    [
      'select "My Col", U&"x" from "T" where "a""b" = \'x\' /* c */  and\n\t b=1',
      'select "My Col", U&"x" from "T" where "a""b" = $1 and b=$2',
    ],
    ["select 'a'\n  'secret', u&'d!0061' uescape '!'", 'select $1, $2 uescape $3'],
    [
      'select a is not null, b is true, c is not false, not true, a = null',
      'select a is not null, b is true, c is not false, not $1, a = $2',
    ],
    [
      'create table t (a int not null default 5, b varchar(3))',
      'create table t (a int not null default $1, b varchar($2))',
    ],
    ['select a/**/from--\nt', 'select a from t'],
    ['select 1 limit 10 as of position 5', 'select $1 limit $2'],
    ['select 0x1F, 1_000, .5, 1e10', 'select $1, $2, $3, $4'],
  ])('%s', (text, normalized) => {
    expect(parseScript(text)[0]?.normalized).toBe(normalized);
  });

  test('no literal of any form survives', () => {
    const secrets = ['Tr0ub4dor', '4111111111', '7e57'];
    const [name, number, hex] = secrets as [string, string, string];
    const literals = [
      `'${name}'`,
      `E'${name}\\n'`,
      `$$${name}$$`,
      `$t$${name}$t$`,
      `U&'${name}'`,
      `N'${name}'`,
      `x'${hex}'`,
      `'x'\n'${name}'`,
      number,
      `-${number}`,
      `${number}.5`,
      `1.${number}`,
      `0x${hex}`,
      `'it''s ${name}'`,
    ];
    for (const literal of literals) {
      for (const text of [
        `select ${literal}`,
        `select a from t where b=${literal} /* ${name} */`,
        `insert into t values (${literal},${literal}) -- ${name}`,
      ]) {
        const { normalized } = parseScript(text)[0] as { normalized: string };
        for (const secret of secrets) expect(normalized).not.toContain(secret);
      }
    }
  });
});

describe('parameters', () => {
  test('the highest number counts, literals are numbered after it', () => {
    const [statement] = parseScript("select $3, 'a', $1");
    expect(statement).toMatchObject({ parameterCount: 3, normalized: 'select $3, $4, $1' });
  });

  test.each(['select $0', 'select $65536', 'select $99999999999999999999'])(
    '%s is out of bounds',
    (text) => {
      expect(failure(text)[0]).toBe('UNDEFINED_PARAMETER');
    },
  );
});

describe('errors', () => {
  test.each([
    ["select 'é😀' , 1 +", 'SYNTAX_ERROR', ''],
    ["select '😀😀' x y z", 'SYNTAX_ERROR', 'y z'],
    ["select 'é'; select * fro t", 'SYNTAX_ERROR', 'fro t'],
    ["select 'é', 'abc", 'SYNTAX_ERROR', "'abc"],
    ['select 1\0; drop', 'SYNTAX_ERROR', '\0; drop'],
    ["select '\ud800'", 'SYNTAX_ERROR', "\ud800'"],
    ["select '😀'; é", 'SYNTAX_ERROR', 'é'],
    ["select 'é'; -- x\n drop role t", 'UNSUPPORTED_SQL', 'drop rol'],
    ['begin read only', 'UNSUPPORTED_SQL', 'begin re'],
    ['select 1; commit and chain', 'UNSUPPORTED_SQL', 'commit a'],
  ])('%j fails with %s at %j', (text, code, rest) => {
    expect(failure(text)).toEqual([code, rest]);
  });

  test('no message repeats a literal of the text', () => {
    for (const text of [
      "select 'Tr0ub4dor' 'x' y",
      "select x y 'Tr0ub4dor'",
      "select 'Tr0ub4dor",
      'select $$Tr0ub4dor',
      'select 1 "Tr0ub4dor',
      "select 1 as of timestamp 'Tr0ub4dor'",
      'select 99Tr0ub4dor',
    ]) {
      expect(() => parseScript(text)).toThrow(/^(?!.*Tr0ub4dor)/);
    }
  });
});

describe('limits', () => {
  const repeat = (text: string, count: number): string => text.repeat(count);

  test.each([
    ['brackets', `select ${repeat('(', 100_000)}`],
    ['closed brackets', `select ${repeat('(', 100_000)}1${repeat(')', 100_000)}`],
    ['NOT', `select ${repeat('not ', 100_000)}true`],
    ['minus', `select ${repeat('- ', 100_000)}1`],
    ['plus', `select ${repeat('1+', 100_000)}1`],
    ['CASE', `select ${repeat('case when true then ', 40_000)}1${repeat(' end', 40_000)}`],
    ['casts', `select 1${repeat('::int', 100_000)}`],
    ['UNION', `select 1 ${repeat('union select 1,2 ', 50_000)}`],
    ['JOIN', `select 1 from t ${repeat('join t on f(1,2) and true ', 30_000)}`],
    ['AT LOCAL', `select a ${repeat('at local ', 100_000)}`],
    ['BETWEEN', `select 1${repeat(' between 1 and 2 is true', 30_000)}`],
    ['IS NULL', `select a${repeat(' is null', 100_000)}`],
    ['COLLATE', `select a${repeat(' collate "C"', 60_000)}`],
    ['subqueries', `select ${repeat('(select ', 100_000)}`],
    ['calls', `select ${repeat('lower(', 100_000)}`],
    ['arrays', `select ${repeat('array[', 100_000)}`],
  ])('deep nesting by %s is refused, and the parser goes on working', (_name, text) => {
    const [code, rest] = failure(text);
    expect(code).toBe('STATEMENT_TOO_COMPLEX');
    // Only the check before the parser knows the place; the parser's own stack must not be what stops it.
    expect(rest).toBeDefined();
    expect(parseScript('select 1')).toHaveLength(1);
  });

  test.each([
    ['AND', `select ${repeat('true and ', 100_000)}true`],
    ['AND and OR', `select ${repeat('a = 1 and b or ', 50_000)}true`],
    ['IN', `select 1 in (${repeat('-1,', 100_000)}1)`],
    ['VALUES', `insert into t values ${repeat('(1,-1,2::int),', 50_000)}(1,2,3)`],
    ['statements', repeat('select -1;', 50_000)],
  ])('long but flat %s is accepted', (_name, text) => {
    expect(parseScript(text).length).toBeGreaterThan(0);
  });

  test('the size limit counts UTF-8 bytes and comes before parsing', () => {
    const ascii = `select '${repeat('x', limits.statementBytesMax - 9)}'`;
    expect(parseScript(ascii)).toHaveLength(1);
    expect(failure(`${ascii} `)[0]).toBe('STATEMENT_TOO_LARGE');
    expect(failure(`select '${repeat('é', limits.statementBytesMax / 2)}'`)[0]).toBe(
      'STATEMENT_TOO_LARGE',
    );
  });
});

describe('comments that the parser would read again and again', () => {
  test.each(['/*'.repeat(500_000), `${'/**/'.repeat(250_000)}select 1`])(
    'are refused before it sees them',
    (text) => {
      const started = performance.now();
      expect(failure(text)[0]).toBe('STATEMENT_TOO_COMPLEX');
      expect(performance.now() - started).toBeLessThan(2_000);
    },
  );

  test.each([
    `${'/*'.repeat(1_000)}${'*/'.repeat(1_000)} select 1`,
    `${'/* a * b / c */ '.repeat(50_000)} select 1`,
    `select '${'/*'.repeat(500_000)}'`,
  ])('leave ordinary ones, and texts in quotes, as they are', (text) => {
    expect(parseScript(text)).toHaveLength(1);
  });
});
