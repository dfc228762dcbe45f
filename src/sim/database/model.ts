/**
 * What the database must hold, told from outside: a few tables and streams as plain objects, and what
 * each command does to them. Knows nothing of logs, frames or positions.
 */

export interface Account {
  readonly id: number;
  readonly email: string | null;
  readonly balance: number;
  readonly memo: string;
}

export type Spec =
  | { readonly kind: 'table'; readonly name: 'accounts' | 'notes'; readonly ifNotExists: boolean }
  | { readonly kind: 'insert'; readonly rows: readonly Account[] }
  | { readonly kind: 'add'; readonly from: number; readonly to: number; readonly delta: number }
  | { readonly kind: 'email'; readonly id: number; readonly email: string }
  | { readonly kind: 'delete'; readonly from: number; readonly to: number }
  | { readonly kind: 'notes'; readonly texts: readonly string[] }
  | { readonly kind: 'null'; readonly id: number }
  | {
      readonly kind: 'transfer';
      readonly from: number;
      readonly to: number;
      readonly amount: number;
      /** How long the transaction stays open between reading and writing. */
      readonly thinkMs?: number;
    }
  | { readonly kind: 'replace'; readonly id: number; readonly rows: readonly Account[] }
  | {
      readonly kind: 'append';
      readonly stream: string;
      readonly events: readonly number[];
      readonly expectedVersion?: number;
    };

/** One row's or event's change, as text, so that two lists of them can be compared. */
export type ModelChange = string;

export type Expected =
  /** Refused, with one of these codes. */
  | { readonly kind: 'refused'; readonly codes: ReadonlySet<string> }
  /** Nothing to change. */
  | { readonly kind: 'unchanged'; readonly rowCount: number }
  | {
      readonly kind: 'changed';
      readonly rowCount: number;
      readonly changes: readonly ModelChange[];
      readonly next: TenantState;
    };

/** A tenant's contents. Never changed in place. */
export interface TenantState {
  readonly accounts: ReadonlyMap<number, Account> | undefined;
  readonly notes: readonly string[] | undefined;
  readonly streams: ReadonlyMap<string, readonly number[]>;
}

export const emptyTenant: TenantState = {
  accounts: undefined,
  notes: undefined,
  streams: new Map(),
};

export function changeText(
  kind: string,
  table: string,
  before: unknown,
  after: unknown,
): ModelChange {
  return `${kind} ${table} ${JSON.stringify(before ?? null)} → ${JSON.stringify(after ?? null)}`;
}

function refused(...codes: string[]): Expected {
  return { kind: 'refused', codes: new Set(codes) };
}

/** What `spec` does in `state`. */
export function evaluate(spec: Spec, state: TenantState): Expected {
  switch (spec.kind) {
    case 'table':
      return defineTable(spec, state);
    case 'notes': {
      if (state.notes === undefined) return refused('UNDEFINED_TABLE');
      return {
        kind: 'changed',
        rowCount: spec.texts.length,
        changes: spec.texts.map((text) => changeText('insert', 'notes', undefined, { text })),
        next: { ...state, notes: [...state.notes, ...spec.texts] },
      };
    }
    case 'append':
      return appendEvents(spec, state);
    default:
      return state.accounts === undefined
        ? refused('UNDEFINED_TABLE')
        : changeAccounts(spec, state, state.accounts);
  }
}

function defineTable(spec: Extract<Spec, { kind: 'table' }>, state: TenantState): Expected {
  if (state[spec.name] !== undefined) {
    return spec.ifNotExists ? { kind: 'unchanged', rowCount: 0 } : refused('DUPLICATE_TABLE');
  }
  const made = spec.name === 'accounts' ? { accounts: new Map<number, Account>() } : { notes: [] };
  return {
    kind: 'changed',
    rowCount: 0,
    changes: [changeText('createTable', spec.name, undefined, undefined)],
    next: { ...state, ...made },
  };
}

function appendEvents(spec: Extract<Spec, { kind: 'append' }>, state: TenantState): Expected {
  const { stream, events, expectedVersion } = spec;
  const before = state.streams.get(stream) ?? [];
  if (expectedVersion !== undefined && expectedVersion !== before.length) {
    return refused('VERSION_CONFLICT');
  }
  if (events.length === 0) return { kind: 'unchanged', rowCount: 0 };
  return {
    kind: 'changed',
    rowCount: events.length,
    changes: events.map((data, index) =>
      changeText('append', stream, before.length + index + 1, { data }),
    ),
    next: { ...state, streams: new Map(state.streams).set(stream, [...before, ...events]) },
  };
}

type AccountSpec = Exclude<Spec, { kind: 'table' | 'notes' | 'append' }>;
type Accounts = ReadonlyMap<number, Account>;

function changeAccounts(spec: AccountSpec, state: TenantState, before: Accounts): Expected {
  const next = new Map(before);
  switch (spec.kind) {
    case 'insert': {
      const problem = insertAll(next, spec.rows);
      return problem ?? changed(state, before, next, spec.rows.length);
    }
    case 'add': {
      const hit = within(before, spec.from, spec.to);
      for (const row of hit) next.set(row.id, { ...row, balance: row.balance + spec.delta });
      if (hit.some((row) => row.balance + spec.delta < 0)) return refused('CHECK_VIOLATION');
      return changed(state, before, next, hit.length);
    }
    case 'email': {
      const row = before.get(spec.id);
      if (row === undefined) return { kind: 'unchanged', rowCount: 0 };
      const taken = [...before.values()].some(
        (other) => other.id !== row.id && other.email === spec.email,
      );
      if (taken) return refused('UNIQUE_VIOLATION');
      next.set(row.id, { ...row, email: spec.email });
      return changed(state, before, next, 1);
    }
    case 'delete': {
      const hit = within(before, spec.from, spec.to);
      for (const row of hit) next.delete(row.id);
      return changed(state, before, next, hit.length);
    }
    case 'null':
      return refused('NOT_NULL_VIOLATION');
    case 'transfer':
      return transfer(spec, state, before);
    case 'replace': {
      next.delete(spec.id);
      const problem = insertAll(next, spec.rows);
      return problem ?? changed(state, before, next, spec.rows.length);
    }
  }
}

function insertAll(into: Map<number, Account>, rows: readonly Account[]): Expected | undefined {
  const problems = new Set<string>();
  for (const row of rows) {
    if (row.balance < 0) problems.add('CHECK_VIOLATION');
    if (into.has(row.id)) problems.add('UNIQUE_VIOLATION');
    const taken = [...into.values()].some((other) => other.email === row.email);
    if (row.email !== null && taken) problems.add('UNIQUE_VIOLATION');
    into.set(row.id, row);
  }
  return problems.size > 0 ? { kind: 'refused', codes: problems } : undefined;
}

function transfer(
  spec: Extract<Spec, { kind: 'transfer' }>,
  state: TenantState,
  before: Accounts,
): Expected {
  const from = before.get(spec.from);
  const to = before.get(spec.to);
  const covered = from !== undefined && to !== undefined && from.balance >= spec.amount;
  if (!covered || from.id === to.id) return { kind: 'unchanged', rowCount: 0 };
  const next = new Map(before);
  next.set(from.id, { ...from, balance: from.balance - spec.amount });
  next.set(to.id, { ...to, balance: to.balance + spec.amount });
  return changed(state, before, next, 2);
}

function within(accounts: Accounts, from: number, to: number): Account[] {
  return [...accounts.values()].filter((row) => row.id >= from && row.id <= to);
}

/** A row that was updated is another object, also when it holds what it held. */
function changed(state: TenantState, before: Accounts, next: Accounts, rowCount: number): Expected {
  const changes: ModelChange[] = [];
  for (const row of before.values()) {
    const now = next.get(row.id);
    if (now === undefined) changes.push(changeText('delete', 'accounts', row, undefined));
    else if (now !== row) changes.push(changeText('update', 'accounts', row, now));
  }
  for (const row of next.values()) {
    if (!before.has(row.id)) changes.push(changeText('insert', 'accounts', undefined, row));
  }
  if (changes.length === 0) return { kind: 'unchanged', rowCount };
  return { kind: 'changed', rowCount, changes, next: { ...state, accounts: next } };
}
