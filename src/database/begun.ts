import type { CommandOrigin } from '../kernel/index.ts';
import { BufferedTransaction, type TransactionScope } from './transaction.ts';
import type {
  ExecuteResult,
  OpenTransaction,
  QueryOptions,
  QueryResult,
  Row,
  SqlParameter,
} from './types.ts';

/** A transaction that its caller ends. */
export class BegunTransaction implements OpenTransaction {
  readonly #scope: TransactionScope;
  readonly #origin: CommandOrigin;
  readonly #buffered: BufferedTransaction;

  constructor(scope: TransactionScope, origin: CommandOrigin) {
    this.#scope = scope;
    this.#origin = origin;
    this.#buffered = new BufferedTransaction(scope);
  }

  execute<R extends Row | unknown[] = Row>(
    sql: string,
    parameters?: readonly SqlParameter[],
    options?: Pick<QueryOptions, 'rowMode'>,
  ): Promise<ExecuteResult<R>> {
    return this.#buffered.execute(sql, parameters, options);
  }

  query<R extends Row | unknown[] = Row>(
    sql: string,
    parameters?: readonly SqlParameter[],
    options?: Pick<QueryOptions, 'rowMode'>,
  ): Promise<QueryResult<R>> {
    return this.#buffered.query(sql, parameters, options);
  }

  async commit(): Promise<{ readonly position: bigint }> {
    const command = this.#buffered.finish(this.#origin, undefined);
    try {
      const { position } = await this.#scope.engine.submit(command);
      return { position: BigInt(position) };
    } finally {
      this.#buffered.tidy();
    }
  }

  rollback(): void {
    this.#buffered.abandon();
  }
}
