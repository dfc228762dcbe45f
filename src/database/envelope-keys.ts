/** Key-encryption keys of `veritydb/envelope` that a database keeps, with the subject keys of a tenant. */
import { type TenantId, toHex, VerityError } from '../base/index.ts';
import type { SecretKey } from '../crypto/index.ts';
import type { Engine } from '../engine/index.ts';
import type { EnvelopeKeys } from './types.ts';

/** Makes a key; its id, which names this log, the tenant, and the key's number. */
export async function createEnvelopeKey(engine: Engine, tenant: TenantId): Promise<string> {
  engine.checkWritable();
  const number = await engine.subjects.create(tenant, 1);
  return `${prefixOf(engine, tenant)}${number}`;
}

/** The keys of a tenant as a source. Throws ENVELOPE_KEY_UNKNOWN if it has none of the id `currentId`. */
export function envelopeKeys(engine: Engine, tenant: TenantId, currentId: string): EnvelopeKeys {
  const prefix = prefixOf(engine, tenant);
  const kek = (id: string): SecretKey | undefined => {
    engine.checkReadable();
    engine.catchUp();
    const digits = id.startsWith(prefix) ? id.slice(prefix.length) : '';
    if (!/^(?:0|[1-9]\d{0,14})$/.test(digits)) return undefined;
    try {
      return engine.subjects.lend(tenant, Number(digits));
    } catch (error) {
      if (error instanceof VerityError && error.code === 'UNKNOWN_SUBJECT') return undefined;
      throw error;
    }
  };
  if (kek(currentId) === undefined) {
    throw new VerityError(
      'ENVELOPE_KEY_UNKNOWN',
      'There is no envelope key of this id. Pass what createEnvelopeKey() returned for this tenant.',
      { details: { kekId: currentId } },
    );
  }
  const onFailure = (error: VerityError): void => engine.hierarchy.security.observe(error);
  return { currentId, kek, onFailure };
}

function prefixOf(engine: Engine, tenant: TenantId): string {
  return `verity-${toHex(engine.hierarchy.keyring.logId)}-${tenant}-`;
}
