import {
  assert,
  limits,
  type Position,
  type TimestampMicros,
  type Value,
  VerityError,
} from '../../base/index.ts';
import type { BlobAccess, CommandFacts, ExecutionContext } from '../contract.ts';
import type { ReadView } from '../../store/index.ts';
import { HeldRows } from './result-size.ts';

/** One run of a statement: what it reads from, what its subqueries keep for its length, and what it may use up. */
export class Execution extends HeldRows implements ExecutionContext {
  readonly view: ReadView;
  /** Results of subqueries that read nothing of the rows around them. */
  readonly memo = new Map<object, unknown>();
  readonly time: TimestampMicros;
  readonly blobs: BlobAccess | undefined;
  readonly #context: ExecutionContext;
  #read = 0;

  constructor(view: ReadView, context: ExecutionContext) {
    super();
    this.view = view;
    this.time = context.time;
    this.blobs = context.blobs;
    this.#context = context;
  }

  allocateRowId(): number {
    return this.#context.allocateRowId();
  }

  commandAt(position: Position): CommandFacts | undefined {
    return this.#context.commandAt?.(position);
  }

  /** Counts a row looked at. Throws QUERY_TOO_LARGE. */
  countRead(): void {
    if (++this.#read > limits.queryRowsReadMax) {
      throw new VerityError(
        'QUERY_TOO_LARGE',
        `The query looks at more than ${limits.queryRowsReadMax} rows; join on indexed columns, or narrow it with WHERE. EXPLAIN shows how it is run.`,
      );
    }
  }
}

/** The run that a context belongs to. Expressions with subqueries are evaluated within one. */
export function executionOf(context: ExecutionContext): Execution {
  assert(context instanceof Execution, 'a subquery runs within a statement');
  return context;
}

/** Where a statement counts the rows that it changes: those of its queries count with them. */
export function heldRowsOf(context: ExecutionContext): HeldRows {
  return context instanceof Execution ? context : new HeldRows();
}

/** The statement's parameters with room for the slots behind them. */
export function frameOf(parameters: readonly Value[], slotCount: number): readonly Value[] {
  if (slotCount === 0) return parameters;
  const frame = parameters.slice();
  for (let slot = 0; slot < slotCount; slot++) frame.push(null);
  return frame;
}

/** Gives a slot its value. Only whoever a slot was allocated for sets it. */
export function setSlot(frame: readonly Value[], slot: number, value: Value): void {
  (frame as Value[])[slot - 1] = value;
}
