import { VerityError } from '../base/index.ts';
import {
  type KeySlot,
  type MasterKeyProvider,
  type NewKeySlot,
  type PreparedRotation,
  type ProviderDescription,
  SecretKey,
  type SlotBinding,
  type UnwrapOptions,
  type UnwrappedRoot,
} from '../crypto/index.ts';
import {
  type AwsClient,
  AwsRefusal,
  type AwsSettings,
  checkEndpoint,
  clientSettings,
  sendToAws,
} from './aws.ts';
import { inPlace } from './held-key.ts';
import { optionalPackage } from './optional-package.ts';
import type { ProviderNames } from './retry.ts';
import { encodeFacts } from './slot-facts.ts';
import { alteredSlot, commitsToRoot, rootCommitment } from './slot.ts';

const slotKind = 'aws-kms';
const packageName = '@aws-sdk/client-kms';

export interface AwsKmsSettings extends AwsSettings {
  /** Id, ARN or alias ('alias/…') of a symmetric key. Only this key is ever asked to decrypt. */
  readonly keyId: string;
}

/**
 * A key in AWS KMS, which wraps the root key there and never leaves it. The log id is the encryption context, so
 * a wrapped root key opens in its own database only.
 */
export function fromAwsKms(settings: AwsKmsSettings): MasterKeyProvider {
  checkEndpoint(settings.endpoint);
  if (typeof settings.keyId !== 'string' || settings.keyId === '') {
    throw new VerityError('INVALID_ARGUMENT', 'fromAwsKms needs { keyId }: an id, ARN or alias.');
  }
  return new AwsKmsProvider(settings);
}

class AwsKmsProvider implements MasterKeyProvider {
  readonly kind = slotKind;
  readonly #settings: AwsKmsSettings;
  readonly #names: ProviderNames;

  constructor(settings: AwsKmsSettings) {
    this.#settings = settings;
    this.#names = {
      kind: slotKind,
      service: 'AWS KMS',
      source: settings.keyId,
      check:
        'Check the key id, the region, the network, and that the credentials may use kms:Encrypt and kms:Decrypt.',
    };
  }

  async wrap(root: SecretKey, binding: SlotBinding): Promise<NewKeySlot> {
    const { KMSClient, EncryptCommand } = await kms();
    const command = new EncryptCommand({
      KeyId: this.#settings.keyId,
      Plaintext: root.expose(),
      EncryptionContext: contextOf(binding),
    });
    const answer = await this.#send<{ CiphertextBlob?: Uint8Array; KeyId?: string }>(
      () => new KMSClient(clientSettings(this.#settings)),
      command,
    );
    if (answer.CiphertextBlob === undefined) throw this.#unreadable();
    return {
      kind: slotKind,
      parameters: encodeFacts({ key: answer.KeyId ?? this.#settings.keyId }),
      commitment: rootCommitment(root),
      wrapped: answer.CiphertextBlob.slice(),
    };
  }

  async unwrap(
    slots: readonly KeySlot[],
    binding: SlotBinding,
    { background = false }: UnwrapOptions = {},
  ): Promise<UnwrappedRoot | undefined> {
    let altered: KeySlot | undefined;
    // The newest first: an older one is there only while a rotation is under way.
    for (const slot of slots.filter(({ kind }) => kind === slotKind).toReversed()) {
      try {
        const root = await this.#decrypt(slot, binding, background);
        if (commitsToRoot(slot, root)) return { root, slotId: slot.id };
        root.wipe();
        altered ??= slot;
      } catch (error) {
        if (!(error instanceof AwsRefusal)) throw error;
        // KMS says the same of altered bytes and of another encryption context.
        if (error.exception === 'InvalidCiphertextException') altered ??= slot;
        else if (error.exception !== 'IncorrectKeyException') throw error;
      }
    }
    if (altered === undefined) return undefined;
    throw alteredSlot(
      altered,
      'A wrapped key that KMS does not take for one of this database lies',
    );
  }

  describe(): ProviderDescription {
    const { keyId, region, endpoint } = this.#settings;
    return {
      kind: slotKind,
      source: keyId,
      parameters: { ...(region && { region }), ...(endpoint && { endpoint }) },
      rotates: true,
    };
  }

  /** Wraps the root key under the key's current material, which KMS chooses. */
  async rotate(root: SecretKey, binding: SlotBinding): Promise<PreparedRotation> {
    return inPlace(await this.wrap(root, binding));
  }

  async #decrypt(slot: KeySlot, binding: SlotBinding, isBackground: boolean): Promise<SecretKey> {
    const { KMSClient, DecryptCommand } = await kms();
    const command = new DecryptCommand({
      KeyId: this.#settings.keyId,
      CiphertextBlob: slot.wrapped,
      EncryptionContext: contextOf(binding),
    });
    const { Plaintext: plaintext } = await this.#send<{ Plaintext?: Uint8Array }>(
      () => new KMSClient(clientSettings(this.#settings)),
      command,
      isBackground,
    );
    if (plaintext?.length !== 32) {
      plaintext?.fill(0);
      throw this.#unreadable();
    }
    const bytes = Uint8Array.from(plaintext);
    plaintext.fill(0);
    return new SecretKey(bytes);
  }

  async #send<Answer>(
    makeClient: () => DisposableClient,
    command: unknown,
    isBackground = false,
  ): Promise<Answer> {
    const { client: given, retry } = this.#settings;
    const how = { retry, isBackground };
    if (given !== undefined) return sendToAws<Answer>(this.#names, given, command, how);
    const client = makeClient();
    try {
      return await sendToAws<Answer>(this.#names, client, command, how);
    } finally {
      client.destroy();
    }
  }

  #unreadable(): VerityError {
    return new VerityError(
      'KEY_INVALID',
      `AWS KMS gave no usable key for ${this.#names.source}. ${this.#names.check}`,
    );
  }
}

interface DisposableClient extends AwsClient {
  destroy(): void;
}

const kms = () => optionalPackage(packageName, () => import('@aws-sdk/client-kms'));

function contextOf(binding: SlotBinding): Record<string, string> {
  return { 'veritydb:log-id': Buffer.from(binding.logId).toString('hex') };
}
