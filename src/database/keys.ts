import { Buffer } from 'node:buffer';
import { assert, systemTenant, type TenantId, toHex, VerityError } from '../base/index.ts';
import { decodeKey, Reader } from '../codec/index.ts';
import {
  constantTimeEqual,
  ed25519PublicKeyPem,
  type MasterKeyProvider,
  type NewKeySlot,
  SecretKey,
  type SlotBinding,
} from '../crypto/index.ts';
import type { Engine, EngineHost, Keyring } from '../engine/index.ts';
import {
  describeSlot,
  fromRecoveryCode,
  generateRecoveryCode,
  recoverySlotKind,
  rewrapRecoverySlot,
} from '../keys/index.ts';
import { checkName, nameKey, tenantsTree } from '../kernel/index.ts';
import { formatVkey } from '../proof/index.ts';
import type { KeyAccess } from './key-access.ts';
import type {
  KeysReport,
  PublicKeyExport,
  RekeyOptions,
  RekeyReport,
  RotateOptions,
  RotateReport,
} from './key-types.ts';
import { checkedProvider } from './surroundings.ts';

interface Parts {
  readonly engine: Engine;
  readonly host: EngineHost;
  readonly access: KeyAccess;
}

/** The keys of an open database: `db.keys`. Nothing here shows a key. */
export class DatabaseKeys {
  readonly #parts: Parts;
  /** One change at a time, in the order they were asked for. */
  #last: Promise<unknown> = Promise.resolve();
  #isRekeying = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** What the keyring holds: ways to the root key, and how many secrets each tenant has. No secrets. */
  list(): KeysReport {
    const { engine, access } = this.#parts;
    this.#catchUp();
    const { keyring } = engine.hierarchy;
    const { kind, source, parameters, rotates } = access.provider.describe();
    const tenants = [{ name: undefined, id: systemTenant }, ...this.#tenants()].flatMap(
      ({ name, id }) => {
        const secrets = keyring.secretNumbers(id);
        return secrets.length === 0 ? [] : [{ tenant: name, secrets }];
      },
    );
    return {
      generation: keyring.generation,
      provider: { kind, source, parameters: { ...parameters }, rotates },
      slots: keyring.slots.map((slot) => ({
        id: slot.id,
        kind: slot.kind,
        parameters: describeSlot(slot),
      })),
      tenants,
      rekeyDue: tenants.some(({ secrets }) => secrets.length > 1),
      publicKey: this.exportPublic().publicKey,
    };
  }

  /** The public half of the database's signing key. */
  exportPublic(): PublicKeyExport {
    this.#catchUp();
    const { hierarchy, proofs } = this.#parts.engine;
    const vkeys = [...proofs.vkeys];
    const vkey = vkeys.pop();
    assert(vkey !== undefined, 'a database has a signing key');
    const { publicKey } = vkey;
    return {
      name: `veritydb/${toHex(hierarchy.keyring.logId)}`,
      algorithm: 'ed25519',
      publicKey: Buffer.from(publicKey).toString('base64'),
      pem: ed25519PublicKeyPem(publicKey),
      vkey: formatVkey(vkey),
      earlierVkeys: vkeys.map(formatVkey),
    };
  }

  /**
   * Makes a new key sign checkpoints from now on, which the one before it says in the log; that one's private half is
   * destroyed. Who has the old verifier key can check the new one by it. Throws NOT_ENCRYPTED, READ_ONLY.
   */
  async rotateSigningKey(): Promise<PublicKeyExport> {
    this.#checkSealed();
    return this.#serially(async () => {
      await this.#parts.engine.rotateSigningKey();
      return this.exportPublic();
    });
  }

  /**
   * Rotates the master key, or with `tenant` that tenant's key; see RotateOptions. No data is rewritten. Throws
   * KEY_ROTATION_UNSUPPORTED, UNKNOWN_TENANT, NOT_ENCRYPTED, READ_ONLY, INVALID_ARGUMENT, and what the provider throws.
   */
  async rotate(options: RotateOptions = {}): Promise<RotateReport> {
    checkRotateOptions(options);
    this.#checkSealed();
    return this.#serially(async () => {
      const { tenant, masterKey, recoveryCodes = 'keep' } = options;
      if (tenant !== undefined) await this.#parts.engine.renewTenant(this.#tenant(tenant));
      else {
        await this.#parts.access.whileChanging(() =>
          this.#rotateMaster(masterKey, recoveryCodes === 'keep'),
        );
      }
      const { keyring } = this.#parts.engine.hierarchy;
      return { generation: keyring.generation, slots: this.list().slots };
    });
  }

  /**
   * Seals what older secrets sealed anew under the newest, segment by segment while the database is used, and forgets
   * the older ones. Can be stopped, and goes on where it stopped. Throws ABORTED, REKEY_RUNNING, NOT_ENCRYPTED, READ_ONLY.
   */
  async rekey(options: RekeyOptions = {}): Promise<RekeyReport> {
    const { onProgress, bytesPerSecond, signal } = options;
    if (bytesPerSecond !== undefined && !(Number.isFinite(bytesPerSecond) && bytesPerSecond > 0)) {
      throw new VerityError('INVALID_ARGUMENT', 'bytesPerSecond is a number over 0.');
    }
    this.#checkSealed();
    if (this.#isRekeying) {
      throw new VerityError(
        'REKEY_RUNNING',
        'This database is being rekeyed already. Wait until that is done.',
      );
    }
    const proceed = (): void => {
      if (signal?.aborted !== true) return;
      throw new VerityError(
        'ABORTED',
        'Rekeying was stopped. What was done stays done; the next call goes on from there.',
      );
    };
    proceed();
    this.#isRekeying = true;
    try {
      return await this.#parts.engine.rekey({ onProgress, bytesPerSecond, proceed });
    } finally {
      this.#isRekeying = false;
    }
  }

  /** Adds a second way in, for when the master key is lost; the code is not stored. */
  async addRecoveryCode(): Promise<string> {
    const { engine } = this.#parts;
    engine.checkWritable();
    return this.#serially(async () => {
      const code = generateRecoveryCode();
      const { root, keyring } = engine.hierarchy;
      const slot = await fromRecoveryCode(code).wrap(root, keyring);
      await engine.changeKeyring((next) => void next.addSlot(slot, root));
      slot.rewrapKey?.fill(0);
      return code;
    });
  }

  async #rotateMaster(masterKey: MasterKeyProvider | undefined, keepCodes: boolean): Promise<void> {
    const { engine, host, access } = this.#parts;
    const provider = masterKey ?? access.provider;
    // A provider that renews its own key: the new one opens the database before the old one is gone.
    if (masterKey === undefined) await this.#renewInPlace(provider);
    const root = new SecretKey(host.entropy.bytes(32));
    try {
      const binding = { logId: engine.hierarchy.keyring.logId };
      const slot = await provider.wrap(root, binding);
      await checkOpens(provider, { slot, root, binding });
      await engine.renewRoot(root, (next) => setSlots(next, { slot, root, binding, keepCodes }));
    } finally {
      // In force from the moment that the new keyring is on the disk, whatever fails after that.
      if (engine.hierarchy.root === root) access.provider = provider;
      else root.wipe();
    }
  }

  async #renewInPlace(provider: MasterKeyProvider): Promise<void> {
    const { engine } = this.#parts;
    const { root, keyring } = engine.hierarchy;
    const prepared = await provider.rotate(root, { logId: keyring.logId });
    try {
      await engine.changeKeyring((next) => void next.addSlot(prepared.slot, root));
    } catch (error) {
      await prepared.discard();
      throw error;
    }
    // If this fails, either key may be in its place: both slots stay, and the next rotation removes one of them.
    await prepared.activate();
  }

  #tenant(name: string): TenantId {
    checkName('tenant', name);
    const stored = this.#parts.engine.state.store.get(tenantsTree, nameKey(name));
    if (stored !== undefined) return new Reader(stored.row).u32() as TenantId;
    throw new VerityError(
      'UNKNOWN_TENANT',
      `There is no tenant named "${name}". db.tenants() lists them.`,
    );
  }

  *#tenants(): Generator<{ readonly name: string; readonly id: TenantId }> {
    const cursor = this.#parts.engine.state.store.scan(tenantsTree, {});
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      const name = decodeKey([{ name: 'text' }], entry.key)[0] as string;
      yield { name, id: new Reader(entry.row).u32() as TenantId };
    }
  }

  #catchUp(): void {
    const { engine } = this.#parts;
    engine.checkOpen();
    engine.catchUp();
  }

  #checkSealed(): void {
    const { engine } = this.#parts;
    engine.checkWritable();
    if (engine.hierarchy.suite.algorithm !== 'none') return;
    throw new VerityError(
      'NOT_ENCRYPTED',
      'The database is in plain mode: there are no keys to change. Copy its contents into an encrypted database.',
    );
  }

  #serially<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

function checkRotateOptions(options: RotateOptions): void {
  const { tenant, masterKey, recoveryCodes } = options;
  if (tenant !== undefined && (masterKey !== undefined || recoveryCodes !== undefined)) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'rotate takes either { tenant } or { masterKey, recoveryCodes }, not both.',
    );
  }
  if (masterKey !== undefined) checkedProvider(masterKey);
  if (recoveryCodes !== undefined && recoveryCodes !== 'keep' && recoveryCodes !== 'remove') {
    throw new VerityError('INVALID_ARGUMENT', "recoveryCodes is 'keep' or 'remove'.");
  }
}

interface NewWay {
  readonly slot: NewKeySlot;
  readonly root: SecretKey;
  readonly binding: SlotBinding;
}

/** The new slot opens, before it becomes the only one. A provider that can only wrap is believed. */
async function checkOpens(
  provider: MasterKeyProvider,
  { slot, root, binding }: NewWay,
): Promise<void> {
  if (provider.describe().parameters['opens'] === false) return;
  const opened = await provider.unwrap([{ id: 1, ...slot }], binding);
  const isSame = opened !== undefined && constantTimeEqual(opened.root.expose(), root.expose());
  opened?.root.wipe();
  if (isSame) return;
  throw new VerityError(
    'KEY_INVALID',
    `The new ${provider.kind} key does not open what it wrapped. Nothing was changed; try another key.`,
  );
}

/** The new slot takes the place of every slot but those of recovery codes, which are made anew or removed. */
function setSlots(next: Keyring, way: NewWay & { readonly keepCodes: boolean }): void {
  const { slot, root, binding, keepCodes } = way;
  for (const old of next.slots) {
    if (old.kind === recoverySlotKind && keepCodes) {
      const publicKey = next.entryKey('recovery', old.id, root);
      next.replaceSlot(rewrapRecoverySlot(old, publicKey, root, binding));
      publicKey?.wipe();
    }
  }
  const gone = next.slots.filter(({ kind }) => kind !== recoverySlotKind || !keepCodes);
  for (const { id } of gone) next.removeSlot(id);
  next.addSlot(slot, root);
}
