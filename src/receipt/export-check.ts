/**
 * The check of an export (docs/format/export.md): that its receipts hold, and what rows and streams follow from them. The rows of
 * each table are all that there were: their state has the state hash of a signed checkpoint.
 */
import { concatBytes, equalBytes, utf8Decode } from '../base/index.ts';
import { rowPath, rowsTopOf, stateTop } from '../proof/index.ts';
import { CheckFailure, check, type ReceiptCheck } from './checks.ts';
import { commitmentOf } from './commitment.ts';
import {
  type DecodedEvent,
  decodeOpened,
  type FieldedRow,
  isRow,
  type RowBody,
} from './decoded-event.ts';
import { ExportedTable, type ExportFormat, streamLine } from './exported-table.ts';
import type { ReceiptFacts, ReceiptResult } from './facts.ts';
import { believedOf, type VerifyOptions } from './options.ts';
import { parseReceipt } from './receipt-text.ts';
import type { StateProof } from './state-proof.ts';
import { verifyReceipt } from './verify.ts';

/** A file of the export, as it must be. */
export interface ExportedFile {
  readonly name: string;
  /** Rows, or events. */
  readonly count: number;
  /** Line by line, each with its line end. */
  readonly lines: Iterable<string>;
}

export interface ExportFacts {
  readonly origin: string;
  readonly tenant: ReceiptFacts['tenant'];
  /** Rows are as they were at this position. */
  readonly position: number;
  /** Of the checkpoint that signs that state. */
  readonly checkpoint: ReceiptFacts['checkpoint'];
  readonly receipts: number;
  readonly events: number;
  /**
   * Tables with rows in the signed state that the export does not show: of other tenants, or left out; 0 proves that no table
   * with rows was. Absent: no state proof is there to tell.
   */
  readonly tablesNotShown?: number;
  readonly tables: readonly ExportedFile[];
  /** That none was left out is proved up to the last one that is there. */
  readonly streams: readonly ExportedFile[];
  /** SHA-256, in hex, of values over 1 MiB, which lie in files of their own. */
  readonly blobs: ReadonlySet<string>;
}

export type ExportResult =
  | { readonly ok: true; readonly export: ExportFacts }
  | { readonly ok: false; readonly check: ReceiptCheck; readonly message: string };

interface LiveRow {
  readonly commitment: Uint8Array;
  readonly row: Uint8Array;
}

interface StreamEvents {
  readonly lines: string[];
}

/** Takes the receipts of an export: first those of state, then the others in their order. */
export class ExportCheck {
  readonly #options: VerifyOptions;
  readonly #states = new Map<number, StateProof>();
  readonly #rows = new Map<number, Map<string, LiveRow>>();
  readonly #schemas = new Map<number, Uint8Array>();
  readonly #streams = new Map<string, StreamEvents>();
  #facts: ReceiptFacts | undefined;
  #lastLeaf = -1;
  #receipts = 0;
  #events = 0;

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  /** A receipt of kind `state`, of one table. */
  state(text: string): ReceiptResult {
    return this.#taken(text, (facts) => {
      check('state', facts.kind === 'state', 'A receipt of state is one of another kind.');
      const first = this.#facts?.checkpoint ?? facts.checkpoint;
      check(
        'state',
        first.stateHash === facts.checkpoint.stateHash &&
          first.statePosition === facts.checkpoint.statePosition,
        'The tables of the export are of different states.',
      );
      this.#facts ??= facts;
      for (const proof of parseReceipt(text).state ?? []) this.#states.set(proof.table, proof);
    });
  }

  /** A receipt of kind `range` or `position`. */
  receipt(text: string): ReceiptResult {
    return this.#taken(text, (facts) => {
      check(
        'position',
        facts.kind === 'range' || facts.kind === 'position',
        'A receipt of positions is one of another kind.',
      );
      this.#facts ??= facts;
      const { sha256 } = believedOf(this.#options);
      for (const opened of parseReceipt(text).events) {
        const event = decodeOpened(opened, commitmentOf(sha256, opened));
        check('leaves', event.leaf > this.#lastLeaf, 'Receipts overlap, or are out of order.');
        this.#lastLeaf = event.leaf;
        this.#events += 1;
        if (event.position <= this.#position) this.#apply(event);
      }
    });
  }

  /** What follows from all of them, in this form. */
  finish(format: ExportFormat): ExportResult {
    try {
      return { ok: true, export: this.#finished(format) };
    } catch (error) {
      if (error instanceof CheckFailure)
        return { ok: false, check: error.check, message: error.message };
      throw error;
    }
  }

  /** Events behind it are none of the export's state. */
  get #position(): number {
    const { statePosition, position = 0 } = this.#facts?.checkpoint ?? {};
    return this.#states.size > 0 ? (statePosition ?? 0) : position;
  }

  #taken(text: string, take: (facts: ReceiptFacts) => void): ReceiptResult {
    const result = verifyReceipt(text, this.#options);
    if (!result.ok) return result;
    try {
      const { tenant } = this.#facts ?? result.receipt;
      check('tenant', tenant.id === result.receipt.tenant.id, 'A receipt is of another tenant.');
      take(result.receipt);
      this.#receipts += 1;
      return result;
    } catch (error) {
      if (error instanceof CheckFailure)
        return { ok: false, check: error.check, message: error.message };
      throw error;
    }
  }

  #apply({ body, commitment, position }: DecodedEvent): void {
    if (isRow(body)) this.#applyRow(body, commitment);
    else if (body.type === 'tableDefined') this.#schemas.set(body.object, body.schema);
    else if (body.type === 'streamAppended') {
      const stream = this.#streams.get(body.name) ?? { lines: [] };
      this.#streams.set(body.name, stream);
      check(
        'history',
        body.version === stream.lines.length + 1,
        `An event of the stream "${body.name}" was left out.`,
      );
      stream.lines.push(streamLine(body.version, position, utf8Decode(body.data)));
    }
  }

  #applyRow({ object, key, row }: RowBody, commitment: Uint8Array): void {
    check('row', key !== undefined, 'A key is withheld: an export opens everything.');
    const rows = this.#rows.get(object) ?? new Map<string, LiveRow>();
    this.#rows.set(object, rows);
    if (row === undefined) rows.delete(key);
    else rows.set(key, { commitment, row: row instanceof Uint8Array ? row : joined(row) });
  }

  #finished(format: ExportFormat): ExportFacts {
    const facts = this.#facts;
    check('state', facts !== undefined, 'There is no receipt in the export.');
    for (const object of this.#states.keys())
      check(
        'state',
        this.#schemas.has(object),
        `The state of the table ${object} is there, and the event that defined it is not.`,
      );
    const blobs = new Set<string>();
    const tables: ExportedFile[] = [];
    for (const [object, schema] of this.#schemas) {
      const table = new ExportedTable(schema);
      if (!table.isLive) continue;
      const rows = this.#rows.get(object) ?? new Map<string, LiveRow>();
      this.#checkComplete(object, table.definition.name, rows);
      const lines = [...rows]
        .toSorted(([left], [right]) => (left < right ? -1 : 1))
        .map(([, { row }]) => {
          const shown = table.row(row);
          for (const value of Object.values(shown))
            if (typeof value === 'object' && value !== null) blobs.add(value.sha256);
          return table.line(format, shown);
        });
      const header = table.header(format);
      tables.push({
        name: table.definition.name,
        count: lines.length,
        lines: header === '' ? lines : [header, ...lines],
      });
    }
    return {
      origin: facts.origin,
      tenant: facts.tenant,
      position: this.#position,
      checkpoint: facts.checkpoint,
      receipts: this.#receipts,
      events: this.#events,
      ...this.#notShown(),
      tables,
      streams: [...this.#streams].map(([name, { lines }]) => ({
        name,
        count: lines.length,
        lines,
      })),
      blobs,
    };
  }

  /** A table whose definition and rows were all left out is seen in the count of tables, which the state hash binds. */
  #notShown(): Pick<ExportFacts, 'tablesNotShown'> {
    const states = [...this.#states.values()];
    const [state] = states;
    if (state === undefined) return {};
    const shown = states.filter(({ rows }) => rows !== undefined).length;
    return { tablesNotShown: state.tables.count - shown };
  }

  /** The trie of the rows, made of all of them, must be the one that the state proof leads to. */
  #checkComplete(object: number, name: string, rows: ReadonlyMap<string, LiveRow>): void {
    const { sha256 } = believedOf(this.#options);
    const proof = this.#states.get(object);
    check('state', proof !== undefined, `The state of the table "${name}" is not in the export.`);
    const { rows: shown } = proof;
    if (shown === undefined) {
      check('state', rows.size === 0, `The state has no rows of "${name}", and the events have.`);
      return;
    }
    const entries = Array.from(rows, ([key, { commitment }]) => ({
      path: rowPath(sha256, shown.salt, bytesOf(key)),
      value: commitment,
    }));
    const top = rowsTopOf(sha256, proof);
    check(
      'state',
      shown.way.count === rows.size &&
        top !== undefined &&
        equalBytes(top, stateTop(sha256, entries)),
      `The events of "${name}" do not yield the state that was signed: some were left out.`,
    );
  }
}

/** All fields of an event are opened in an export. */
function joined({ fields }: FieldedRow): Uint8Array {
  return concatBytes(
    ...fields.map((field) => {
      check('row', 'bytes' in field, 'A value is withheld: an export opens everything.');
      return field.bytes;
    }),
  );
}

function bytesOf(key: string): Uint8Array {
  return Uint8Array.from(key, (character) => character.charCodeAt(0));
}
