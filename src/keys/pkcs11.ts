import { randomFillSync } from 'node:crypto';
import { createRequire } from 'node:module';
import { VerityError } from '../base/index.ts';
import {
  type KeySlot,
  type MasterKeyProvider,
  type NewKeySlot,
  pae,
  type PreparedRotation,
  type ProviderDescription,
  SecretKey,
  type SlotBinding,
  type UnwrapOptions,
  type UnwrappedRoot,
} from '../crypto/index.ts';
import { optionalPackage } from './optional-package.ts';
import type { Pkcs11Library } from './pkcs11-library.ts';
import { nameOf, type TokenKey, type TokenSession, withToken } from './pkcs11-token.ts';
import { askWithRetry, type ProviderNames, type RetrySettings } from './retry.ts';
import { decodeFacts, encodeFacts } from './slot-facts.ts';
import type { TokenPlace } from './token-place.ts';
import { alteredSlot, commitsToRoot, rootCommitment } from './slot.ts';

const slotKind = 'pkcs11';
const slotPurpose = 'veritydb/pkcs11-slot/v1';
const packageName = 'pkcs11js';
const ivBytes = 12;
const firstId = '00000001';

export interface Pkcs11Settings extends TokenPlace {
  /** Label of an AES-256 key in the token. Several keys may have it: the one of the highest id wraps. */
  readonly keyLabel: string;
  /** The package pkcs11js, where it is not installed beside veritydb. */
  readonly library?: unknown;
  readonly retry?: RetrySettings;
}

/** An AES key in a PKCS#11 token (an HSM, a smart card), which wraps the root key there and never leaves it. */
export function fromPkcs11(settings: Pkcs11Settings): MasterKeyProvider {
  const { module, tokenLabel, slot, pin, keyLabel } = settings;
  const isNamed = (tokenLabel === undefined) !== (slot === undefined);
  if (!module || !isNamed || typeof pin !== 'string' || !keyLabel) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'fromPkcs11 needs { module, pin, keyLabel } and either { tokenLabel } or { slot }.',
    );
  }
  return new Pkcs11Provider(settings);
}

/** Makes the first key of a label in a token. Throws KEY_INVALID if there is one. */
export async function generatePkcs11Key(settings: Pkcs11Settings): Promise<void> {
  await new Pkcs11Provider(settings).generateFirst();
}

class Pkcs11Provider implements MasterKeyProvider {
  readonly kind = slotKind;
  readonly #settings: Pkcs11Settings;
  readonly #names: ProviderNames;

  constructor(settings: Pkcs11Settings) {
    this.#settings = settings;
    this.#names = {
      kind: slotKind,
      service: `The PKCS#11 token ${nameOf(settings)}`,
      source: settings.keyLabel,
      check: 'Check that the device is connected and its service runs.',
    };
  }

  wrap(root: SecretKey, binding: SlotBinding): Promise<NewKeySlot> {
    return this.#use((session) => this.#wrapWith(session, this.#newest(session), root, binding));
  }

  unwrap(
    slots: readonly KeySlot[],
    binding: SlotBinding,
    { background = false }: UnwrapOptions = {},
  ): Promise<UnwrappedRoot | undefined> {
    const own = slots.filter(({ kind }) => kind === slotKind);
    return this.#use((session) => {
      const keys = session.keys(this.#settings.keyLabel);
      if (keys.length === 0) throw this.#noKey();
      for (const slot of own) {
        const { id, check } = decodeFacts(slot);
        // A key of the same id with another fingerprint is another key.
        const key = keys.find((known) => known.id === id && known.check === check);
        if (key === undefined) continue;
        return { root: openSlot(session, key, slot, binding), slotId: slot.id };
      }
      return undefined;
    }, background);
  }

  describe(): ProviderDescription {
    const { module, tokenLabel, slot, keyLabel } = this.#settings;
    return {
      kind: slotKind,
      source: keyLabel,
      parameters: {
        module,
        ...(tokenLabel !== undefined && { tokenLabel }),
        ...(slot !== undefined && { slot }),
      },
      rotates: true,
    };
  }

  /** A new key of the same label in the token. The old one stays there: backups may need it. */
  async rotate(root: SecretKey, binding: SlotBinding): Promise<PreparedRotation> {
    const { slot, id } = await this.#use((session) => {
      const key = session.generate(this.#settings.keyLabel, idAfter(this.#newest(session).id));
      return { slot: this.#wrapWith(session, key, root, binding), id: key.id };
    });
    return {
      slot,
      activate: async () => undefined,
      discard: () =>
        this.#use((session) => {
          for (const key of session.keys(this.#settings.keyLabel)) {
            if (key.id === id) session.destroy(key);
          }
        }),
    };
  }

  async generateFirst(): Promise<void> {
    const { keyLabel } = this.#settings;
    await this.#use((session) => {
      if (session.keys(keyLabel).length > 0) {
        throw new VerityError(
          'KEY_INVALID',
          `The token ${nameOf(this.#settings)} already has a key "${keyLabel}". Use it, or choose another label.`,
        );
      }
      session.generate(keyLabel, firstId);
    });
  }

  #wrapWith(
    session: TokenSession,
    key: TokenKey,
    root: SecretKey,
    binding: SlotBinding,
  ): NewKeySlot {
    const iv = randomFillSync(new Uint8Array(ivBytes));
    const { id, check } = key;
    return {
      kind: slotKind,
      parameters: encodeFacts({ key: this.#settings.keyLabel, id, check }),
      commitment: rootCommitment(root),
      wrapped: session.encrypt(key, iv, aadOf(binding), root.expose()),
    };
  }

  #newest(session: TokenSession): TokenKey {
    const [newest] = session.keys(this.#settings.keyLabel);
    if (newest === undefined) throw this.#noKey();
    if (newest.isSensitive) return newest;
    throw new VerityError(
      'KEY_INVALID',
      `The key "${this.#settings.keyLabel}" can be read out of the token. Make one that is sensitive and not extractable.`,
    );
  }

  #noKey(): VerityError {
    return new VerityError(
      'KEY_MISSING',
      `The token ${nameOf(this.#settings)} has no AES key "${this.#settings.keyLabel}". Make one with keys.generatePkcs11Key().`,
    );
  }

  async #use<T>(work: (session: TokenSession) => T, isBackground = false): Promise<T> {
    const { library: given, retry } = this.#settings;
    const library = (given ?? (await loadLibrary())) as Pkcs11Library;
    const ask = async (): Promise<T> => withToken(library, this.#settings, work);
    return askWithRetry(this.#names, retry ?? {}, ask, isBackground);
  }
}

/** Required, not imported: a CommonJS package whose names an import does not see. */
function loadLibrary(): Promise<unknown> {
  const require = createRequire(import.meta.url);
  return optionalPackage(packageName, async () => require(packageName) as unknown);
}

function openSlot(
  session: TokenSession,
  key: TokenKey,
  slot: KeySlot,
  binding: SlotBinding,
): SecretKey {
  const bytes = session.decrypt(key, slot.wrapped, aadOf(binding));
  const root = bytes?.length === 32 ? new SecretKey(bytes) : undefined;
  if (root !== undefined && commitsToRoot(slot, root)) return root;
  root?.wipe();
  throw alteredSlot(slot, "A wrapped key that the token's key does not open lies");
}

function aadOf(binding: SlotBinding): Uint8Array {
  return pae(slotPurpose, binding.logId);
}

function idAfter(id: string): string {
  const next = (BigInt(`0x0${id}`) + 1n).toString(16);
  return next.padStart(Math.max(id.length, next.length + (next.length % 2)), '0');
}
