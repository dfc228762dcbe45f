/** Runs a program against the database and the model at once. */
import { expect } from 'vitest';
import type { QueryResult, SqlParameter, Transaction } from '../../../src/database/index.ts';
import { conditionErrors, quoteName, type Row } from './conditions.ts';
import {
  compareAsBags,
  compareInOrder,
  compareRefusal,
  compareSelect,
  expectedRow,
  same,
} from './compare.ts';
import type { Plain } from './kinds.ts';
import { applyWrite, type Column, type Outcome, type Write } from './model.ts';
import type { Batch, Program, ReadPoint, Select, Step, TransactionStep } from './program.ts';
import { createTable, type Rendered, renderSelect, renderWrite } from './statements.ts';
import { kindOf } from './terms.ts';
import type { Twin, Version, World } from './world.ts';

/** Of each key, this many rows are looked up at the end. */
const lookedUpMax = 3;

class Rollback extends Error {}

/** Runs `program` over a new table. Throws with the statements so far when the two disagree. */
export async function runProgram(world: World, program: Program): Promise<Twin> {
  const run = new Run(world, program);
  try {
    await run.all(program.steps);
  } catch (error) {
    const cause = error as Error;
    throw new Error(`${cause.message}\n\nStatements:\n${run.trace.join('\n')}\n`, { cause });
  }
  return run.twin;
}

/** Compares every version of a table that the model kept with what the database shows at its position. */
export async function compareVersions(world: World, twin: Twin): Promise<void> {
  const { name, table, versions } = twin;
  for (const { position, rows } of versions) {
    const result = await world.tenant.queryAt(`SELECT * FROM ${name}`, [], position);
    compareAsBags(
      result.rows,
      rows.map((row) => expectedRow(table, row, world.timestamps)),
    );
  }
}

/** Looks rows up by each of their keys, which leads through an index or to the row at once. */
async function compareKeys(world: World, twin: Twin): Promise<void> {
  const { name, table } = twin;
  const rows = twin.versions.at(-1)?.rows ?? [];
  for (const key of [table.primaryKey, ...table.uniques]) {
    const whole = rows.filter(
      (row) => key.length > 0 && key.every((ordinal) => row[ordinal] !== null),
    );
    for (const row of whole.slice(-lookedUpMax)) {
      const columns = key.map((ordinal) => table.columns[ordinal] as Column);
      const where = columns
        .map((column, index) => `${quoteName(column.name)} = $${index + 1}`)
        .join(' AND ');
      const values = columns.map(
        ({ type }, index) => kindOf(type.base).texts(row[key[index] as number] as Plain)[0],
      );
      const result = await world.tenant.query(`SELECT * FROM ${name} WHERE ${where}`, values);
      compareInOrder(result.rows, [expectedRow(table, row, world.timestamps)]);
    }
  }
}

class Run {
  readonly trace: string[] = [];
  readonly twin: Twin;
  readonly #world: World;

  constructor(world: World, program: Program) {
    this.#world = world;
    this.twin = { name: world.newName(), table: program.table, versions: [] };
  }

  get #rows(): readonly Row[] {
    return this.twin.versions.at(-1)?.rows ?? [];
  }
  get #position(): bigint {
    return this.twin.versions.at(-1)?.position ?? 0n;
  }

  async all(steps: readonly Step[]): Promise<void> {
    const { name, table, versions } = this.twin;
    const sql = createTable(name, table);
    this.trace.push(sql);
    this.#world.tick();
    const { position } = await this.#world.tenant.execute(sql);
    versions.push({ position, micros: this.#world.micros, rows: [] });
    this.#world.twins.push(this.twin);
    for (const step of steps) {
      this.#world.tick();
      await this.#step(step);
    }
    this.#world.tick();
    await compareVersions(this.#world, { ...this.twin, versions: versions.slice(-1) });
    await compareKeys(this.#world, this.twin);
  }

  #step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'select':
        return this.#select(step);
      case 'transaction':
        return this.#transaction(step);
      case 'batch':
        return this.#batch(step);
      default:
        return this.#batch({ kind: 'batch', writes: [step] });
    }
  }

  #note(rendered: Rendered, where = ''): [sql: string, parameters: SqlParameter[]] {
    const parameters = rendered.statement.parameters as SqlParameter[];
    this.trace.push(
      `${where}${rendered.sql}   ${parameters.length === 0 ? '' : inspectAll(parameters)}`,
    );
    return [rendered.sql, parameters];
  }

  /** One write, or several that are sent before the first is answered. */
  async #batch({ writes }: Batch): Promise<void> {
    const { name, table, versions } = this.twin;
    let rows = this.#rows;
    const outcomes = writes.map((write) => {
      const outcome = applyWrite(table, rows, write);
      if ('rows' in outcome) rows = outcome.rows;
      return outcome;
    });
    const sent = writes.map((write) => {
      const work = this.#world.tenant.execute(
        ...this.#note(renderWrite(name, table, write), writes.length > 1 ? '(at once) ' : ''),
      );
      // Awaited in order below; until then nobody listens.
      work.catch(() => undefined);
      const { micros } = this.#world;
      // Commands of one frame have times of their own.
      this.#world.tick();
      return { work, micros };
    });
    for (const [index, outcome] of outcomes.entries()) {
      const { work, micros } = sent[index] as (typeof sent)[number];
      if ('errors' in outcome) {
        await compareRefusal(work, outcome.errors);
        continue;
      }
      const { position, rowCount, rows: returned } = await work;
      this.#compareWrite(writes[index] as Write, outcome, { rowCount, returned });
      const isChange = outcome.touched.length > 0;
      same(
        isChange ? position > this.#position : position >= this.#position,
        true,
        'positions rise',
      );
      if (isChange) {
        versions.push({ position, micros, rows: outcome.rows });
      }
    }
  }

  #compareWrite(
    write: Write,
    outcome: Extract<Outcome, { rows: unknown }>,
    { rowCount, returned }: { readonly rowCount: number; readonly returned: readonly object[] },
  ): void {
    const { table } = this.twin;
    same(rowCount, outcome.touched.length, 'the number of rows');
    const expected = write.returning
      ? outcome.touched.map((row) => expectedRow(table, row, this.#world.timestamps))
      : [];
    if (write.kind === 'insert') compareInOrder(returned, expected);
    else compareAsBags(returned, expected);
  }

  async #select(select: Select): Promise<void> {
    const { name, table } = this.twin;
    const rendered = renderSelect(name, table, select);
    const errors = conditionErrors(table.columns, select.where);
    const { work, rows } =
      select.at === undefined
        ? {
            work: this.#world.tenant.query(...this.#note(rendered)),
            rows: this.#rows as readonly Row[] | undefined,
          }
        : this.#selectAt(rendered, select.at);
    // A position before the table was: there is nothing to bind its name to.
    if (rows === undefined) return compareRefusal(work, ['UNDEFINED_TABLE']);
    if (errors.length > 0) return compareRefusal(work, errors);
    compareSelect(table, select, await work, { rows, timestamps: this.#world.timestamps });
  }

  #selectAt(
    rendered: Rendered,
    at: ReadPoint,
  ): { work: Promise<QueryResult>; rows: readonly Row[] | undefined } {
    const { tenant } = this.#world;
    const { statement } = rendered;
    if (at.by === 'timestamp' || at.by === 'timestampParameter' || at.by === 'queryAtDate')
      return this.#selectAtTime(rendered, at);
    const shifted = this.#versionAt(at).position + BigInt(at.shift);
    const position = shifted < this.#position ? shifted : this.#position;
    const rows = this.twin.versions.findLast((version) => version.position <= position)?.rows;
    if (at.by === 'queryAt')
      return { work: tenant.queryAt(...this.#note(rendered, `(at ${position}) `), position), rows };
    const operand =
      at.by === 'position'
        ? position
        : statement.parameter(at.age < 0.5 ? position : Number(position));
    return {
      work: tenant.query(
        ...this.#note({ ...rendered, sql: `${rendered.sql} AS OF POSITION ${operand}` }),
      ),
      rows,
    };
  }

  #versionAt(at: ReadPoint): Version {
    const { versions } = this.twin;
    return versions[Math.round(at.age * (versions.length - 1))] as Version;
  }

  #selectAtTime(
    rendered: Rendered,
    at: ReadPoint,
  ): { work: Promise<QueryResult>; rows: readonly Row[] | undefined } {
    const { tenant } = this.#world;
    const { statement } = rendered;
    const micros = this.#versionAt(at).micros + at.shift;
    const milliseconds = Math.floor(micros / 1000);
    const rowsAt = (time: number): readonly Row[] | undefined =>
      this.twin.versions.findLast((version) => version.micros <= time)?.rows;
    if (at.by === 'queryAtDate') {
      const date = new Date(milliseconds);
      const work = tenant.queryAt(...this.#note(rendered, `(at ${date.toISOString()}) `), date);
      // A Date is a whole millisecond: what was committed within it is seen.
      return { work, rows: rowsAt(milliseconds * 1000 + 999) };
    }
    const text = new Date(milliseconds)
      .toISOString()
      .replace('Z', `${String(micros % 1000).padStart(3, '0')}Z`);
    const operand =
      at.by === 'timestamp'
        ? `'${text}'`
        : statement.parameter(at.age < 0.5 ? BigInt(micros) : text);
    const sql = `${rendered.sql} AS OF TIMESTAMP ${operand}`;
    return { work: tenant.query(...this.#note({ ...rendered, sql })), rows: rowsAt(micros) };
  }

  async #transaction({ steps, ends }: TransactionStep): Promise<void> {
    let rows = this.#rows;
    const committed = this.#world.tenant.transaction(async (tx) => {
      for (const step of steps) rows = await this.#inTransaction(tx, step, rows);
      if (ends === 'throw') throw new Rollback();
    });
    if (ends === 'throw') {
      await expect(committed).rejects.toBeInstanceOf(Rollback);
      this.trace.push('ROLLBACK');
      return;
    }
    await committed;
    this.trace.push('COMMIT');
    if (rows === this.#rows) return;
    const { position } = await this.#world.tenant.query('SELECT 1');
    this.twin.versions.push({ position, micros: this.#world.micros, rows });
  }

  /** The rows as the transaction sees them after the step; others still see those before. */
  async #inTransaction(
    tx: Transaction,
    step: Write | Select,
    rows: readonly Row[],
  ): Promise<readonly Row[]> {
    const { name, table } = this.twin;
    if (step.kind === 'select') {
      const work = tx.query(...this.#note(renderSelect(name, table, step), '(tx) '));
      const errors = conditionErrors(table.columns, step.where);
      if (errors.length > 0) await compareRefusal(work, errors);
      else compareSelect(table, step, await work, { rows, timestamps: this.#world.timestamps });
      return rows;
    }
    const outcome = applyWrite(table, rows, step);
    const work = tx.execute(...this.#note(renderWrite(name, table, step), '(tx) '));
    if ('errors' in outcome) {
      await compareRefusal(work, outcome.errors);
      return rows;
    }
    const { rowCount, rows: returned } = await work;
    this.#compareWrite(step, outcome, { rowCount, returned });
    const others = await this.#world.tenant.query(`SELECT count(*) FROM ${name}`);
    same(others.rows, [{ count: BigInt(this.#rows.length) }], 'what others see meanwhile');
    return outcome.touched.length === 0 ? rows : outcome.rows;
  }
}

const inspectAll = (parameters: readonly unknown[]): string =>
  parameters
    .map((value) =>
      typeof value === 'bigint'
        ? `${value}n`
        : value instanceof Date
          ? value.toISOString()
          : Object.is(value, -0)
            ? '-0'
            : (JSON.stringify(value) ?? 'undefined'),
    )
    .join(', ');
