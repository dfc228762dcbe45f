/** Databases with a planted fault, one for each checker: what it must notice. */
import { CorruptionError } from '../../src/base/index.ts';
import { Verity } from '../../src/database/index.ts';
import { LogTree, StateHasher } from '../../src/engine/index.ts';
import type {
  DatabaseUnderTest,
  OpenDatabase,
  RepairDatabase,
  SimDatabase,
  SimTenant,
} from '../../src/sim/index.ts';

/** Whether rows that are written are kept from the state hash. */
let isSkipping = false;
/** Whether the tree's roots are wrong. */
let isForking = false;

const openVerity: OpenDatabase = (host, options) => {
  isSkipping = false;
  isForking = false;
  return Verity.openOn(host, options);
};
const repairVerity: RepairDatabase = (host, copy, options) => Verity.repairOn(host, copy, options);

/** `target` with some methods replaced. */
function altered<T extends object>(target: T, changes: Partial<T>): T {
  return new Proxy(target, {
    get: (_target, name) => {
      if (Object.hasOwn(changes, name)) return Reflect.get(changes, name);
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function withTenants(
  db: SimDatabase,
  change: (tenant: SimTenant) => Partial<SimTenant>,
): SimDatabase {
  const alter = (tenant: SimTenant): SimTenant => altered(tenant, change(tenant));
  return altered(db, {
    tenant: (name) => alter(db.tenant(name)),
    createTenant: async (name) => alter(await db.createTenant(name)),
  });
}

function planted(change: (tenant: SimTenant) => Partial<SimTenant>): OpenDatabase {
  return async (host, options) => withTenants(await openVerity(host, options), change);
}

/** Says that it is done, and has done nothing. */
const acknowledgesNothing = planted((tenant) => ({
  execute: async (sql, parameters, options) => {
    if (!sql.startsWith('INSERT INTO notes')) return tenant.execute(sql, parameters, options);
    const { position } = await tenant.query('SELECT 1');
    return { position, rowCount: parameters?.length ?? 0 };
  },
}));

const insertsTwice = planted((tenant) => ({
  execute: async (sql, parameters, options) => {
    const done = await tenant.execute(sql, parameters, options);
    if (sql.startsWith('DELETE')) await tenant.append('orders', [1], { actor: 'nobody' });
    return done;
  },
}));

/** Every other answer waits until later ones have gone out. */
const answersLate: OpenDatabase = async (host, options) => {
  let calls = 0;
  return withTenants(await openVerity(host, options), (tenant) => ({
    execute: async (sql, parameters, commandOptions) => {
      const done = await tenant.execute(sql, parameters, commandOptions);
      calls += 1;
      if (calls % 2 === 0) {
        await new Promise<void>((resolve) => void host.scheduler.delay(15, resolve));
      }
      return done;
    },
  }));
};

const newestInsteadOfOld = planted((tenant) => ({
  queryAt: (sql, parameters) => tenant.query(sql, parameters),
  query: (sql, parameters, options) =>
    tenant.query(sql.replace(/ AS OF POSITION \d+/, ''), parameters, options),
}));

const losesARow = planted((tenant) => ({
  query: async (sql, parameters, options) => {
    const result = await tenant.query(sql, parameters, options);
    return sql.endsWith('ORDER BY id') ? { ...result, rows: result.rows.slice(1) } : result;
  },
}));

const readerLosesARow: OpenDatabase = async (host, options) =>
  options.readOnly
    ? withTenants(await openVerity(host, options), (tenant) => ({
        query: async (sql, parameters) => {
          const result = await tenant.query(sql, parameters);
          return { ...result, rows: result.rows.slice(1) };
        },
        queryAt: async (sql, parameters, at) => {
          const result = await tenant.queryAt(sql, parameters, at);
          return { ...result, rows: result.rows.slice(1) };
        },
      }))
    : openVerity(host, options);

const forgetsToAnswer = planted((tenant) => ({
  append: (stream, events, options) =>
    events.length === 3 ? new Promise(() => undefined) : tenant.append(stream, events, options),
}));

const otherChain: OpenDatabase = async (host, options) => {
  const db = await openVerity(host, options);
  const status = (): ReturnType<SimDatabase['status']> => ({
    ...db.status(),
    chainHash: '00'.repeat(32),
  });
  return altered<SimDatabase>(db, { status });
};

const neverFindsDamage: OpenDatabase = async (host, options) =>
  altered<SimDatabase>(await openVerity(host, options), {
    verify: async () => ({ ok: true, findings: [] }),
  });

const findsWhatIsNotThere: OpenDatabase = async (host, options) =>
  altered<SimDatabase>(await openVerity(host, options), {
    verify: async () => ({ ok: false, findings: [{ code: 'CHAIN_BROKEN', message: 'planted' }] }),
  });

/** Takes what is sound for damage. */
function refusesToOpen(): OpenDatabase {
  let opens = 0;
  return (host, options) => {
    opens += 1;
    if (opens % 3 !== 0) return openVerity(host, options);
    return Promise.reject(
      new CorruptionError('CHECKSUM_MISMATCH', 'keyring', 0, 'Planted damage lies'),
    );
  };
}

/** Says that a key was rotated, and has done nothing. */
const rotatesNothing: OpenDatabase = async (host, options) => {
  const db = await openVerity(host, options);
  const { keys } = db;
  const rotate = async (): Promise<{ generation: number }> => keys.list();
  return altered<SimDatabase>(db, { keys: altered<SimDatabase['keys']>(keys, { rotate }) });
};

/** A copy whose names are never made durable. */
const copiesInMemory: OpenDatabase = async (host, options) => {
  const db = await openVerity(host, options);
  const copyOnto: SimDatabase['copyOnto'] = (target) =>
    db.copyOnto(altered(target, { flushDirectory: () => undefined }));
  return altered<SimDatabase>(db, { copyOnto });
};

const note = Reflect.get(StateHasher.prototype, 'note') as StateHasher['note'];
StateHasher.prototype.note = function (events, leaves, position) {
  const noted = isSkipping ? events.filter(({ type }) => type !== 'rowInserted') : events;
  note.call(this, noted, leaves, position);
};

/** The state hash lacks rows that were inserted; a replay of the log has them. */
const skipsCommitments = planted((tenant) => ({
  execute: (sql, parameters, options) => {
    isSkipping = true;
    return tenant.execute(sql, parameters, options);
  },
}));

function withProofs(
  change: (proofs: SimDatabase['proofs']) => Partial<SimDatabase['proofs']>,
): OpenDatabase {
  return async (host, options) => {
    const db = await openVerity(host, options);
    const proofs = altered<SimDatabase['proofs']>(db.proofs, change(db.proofs));
    return altered<SimDatabase>(db, { proofs });
  };
}

const swapsHashes = withProofs((proofs) => ({
  inclusion: async (leaf, size) => {
    const proof = await proofs.inclusion(leaf, size);
    return { ...proof, hashes: proof.hashes.toReversed() };
  },
}));

const forgetsANote = withProofs((proofs) => ({ list: () => proofs.list().slice(0, -1) }));

const namesAnotherFrame = withProofs((proofs) => ({
  list: () => proofs.list().map((signed) => ({ ...signed, chainHash: '00'.repeat(32) })),
}));

const root = Reflect.get(LogTree.prototype, 'root') as LogTree['root'];
LogTree.prototype.root = function (size) {
  const hash = root.call(this, size);
  return isForking ? hash.toReversed() : hash;
};

/** Signs what the log is not. */
const signsAnotherLog = withProofs((proofs) => ({
  checkpoint: async () => {
    isForking = true;
    try {
      return await proofs.checkpoint();
    } finally {
      isForking = false;
    }
  },
}));

/** Shows one proof for ever. */
const provesThePast: OpenDatabase = async (host, options) =>
  withTenants(await openVerity(host, options), (tenant) => ({
    query: async (sql, parameters, how) => {
      const result = await tenant.query(sql, parameters, how);
      if (result.proof === undefined) return result;
      const name = `${host.disk.constructor.name} ${tenant.name}`;
      const proof = provedOnce.get(name) ?? result.proof;
      provedOnce.set(name, proof);
      return { ...result, proof };
    },
  }));
const provedOnce = new Map<string, string>();

const repairsNothing: RepairDatabase = async () => ({ ok: true });

function opened(open: OpenDatabase): DatabaseUnderTest {
  return { open, repair: repairVerity };
}

/** Each checker, and what it must fire at. */
export const plantedFaults: Readonly<Record<string, DatabaseUnderTest>> = {
  'no loss': opened(acknowledgesNothing),
  'no phantom': opened(insertsTwice),
  order: opened(answersLate),
  mvcc: opened(newestInsteadOfOld),
  state: opened(losesARow),
  'state hash': opened(skipsCommitments),
  'row proof': opened(provesThePast),
  'log tree': opened(swapsHashes),
  'notes kept': opened(forgetsANote),
  'checkpoint record': opened(namesAnotherFrame),
  'signed notes': opened(signsAnotherLog),
  reader: opened(readerLosesARow),
  answers: opened(forgetsToAnswer),
  chain: opened(otherChain),
  copy: opened(copiesInMemory),
  damage: opened(neverFindsDamage),
  keys: opened(rotatesNothing),
  repair: { open: openVerity, repair: repairsNothing },
  verify: opened(findsWhatIsNotThere),
  opens: opened(refusesToOpen()),
};
