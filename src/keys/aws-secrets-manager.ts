import { VerityError } from '../base/index.ts';
import {
  constantTimeEqual,
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
import { inPlace, rotationUnsupported } from './held-key.ts';
import { parseHexKey } from './hex-digits.ts';
import { hexSlotKind } from './hex-key.ts';
import { optionalPackage } from './optional-package.ts';
import type { ProviderNames } from './retry.ts';
import { decodeFacts, encodeFacts } from './slot-facts.ts';
import { firstUnwrapped, wrapSlot } from './slot.ts';

const slotKind = 'aws-secrets-manager';
const packageName = '@aws-sdk/client-secrets-manager';
const versionPattern = /^[A-Za-z0-9_-]{1,64}$/;

export interface AwsSecretSettings extends AwsSettings {
  /** Name or ARN of a secret that holds 64 hex digits, or 32 bytes. */
  readonly secretId: string;
  /** The secret is a JSON object, as the console makes them; this member holds the digits. */
  readonly field?: string;
  /** Which version new slots are made with. Default AWSCURRENT. */
  readonly versionStage?: string;
}

/**
 * A master key in AWS Secrets Manager. A slot names the version it was made with, so a database opens with its own
 * version while a newer one is there already; `rotate` moves it to the newer one.
 */
export function fromAwsSecretsManager(settings: AwsSecretSettings): MasterKeyProvider {
  checkEndpoint(settings.endpoint);
  if (typeof settings.secretId !== 'string' || settings.secretId === '') {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'fromAwsSecretsManager needs { secretId }: the name or ARN of a secret.',
    );
  }
  return new AwsSecretProvider(settings);
}

/** One version of the secret. */
interface Version {
  readonly key: SecretKey;
  readonly arn: string;
  readonly id: string;
}

interface Answer {
  readonly ARN?: string;
  readonly VersionId?: string;
  readonly SecretString?: string;
  readonly SecretBinary?: Uint8Array;
}

class AwsSecretProvider implements MasterKeyProvider {
  readonly kind = slotKind;
  readonly #settings: AwsSecretSettings;
  readonly #names: ProviderNames;
  /** The commitment of the slot that opened, to see whether the secret has a newer key. */
  #commitmentInUse: Uint8Array | undefined;

  constructor(settings: AwsSecretSettings) {
    this.#settings = settings;
    this.#names = {
      kind: slotKind,
      service: 'AWS Secrets Manager',
      source: settings.secretId,
      check:
        'Check the secret id, the region, the network, and that the credentials may use secretsmanager:GetSecretValue.',
    };
  }

  async wrap(root: SecretKey, _binding: SlotBinding): Promise<NewKeySlot> {
    return this.#wrapWith(await this.#current(), root);
  }

  async unwrap(
    slots: readonly KeySlot[],
    _binding: SlotBinding,
    { background = false }: UnwrapOptions = {},
  ): Promise<UnwrappedRoot | undefined> {
    const own = slots.filter(({ kind }) => kind === slotKind).toReversed();
    const versions = new Set(own.map((slot) => decodeFacts(slot)['version'] ?? ''));
    let gone: string | undefined;
    for (const id of versions) {
      const version = await this.#named(id, background);
      const opened = version && this.#openWith(version, own);
      if (opened !== undefined) return opened;
      if (version === undefined && versionPattern.test(id)) gone ??= id;
    }
    // The current one: for slots made with the same digits in a file, and for a version that was put back.
    const others = slots.filter(({ kind }) => kind === slotKind || kind === hexSlotKind);
    if (others.length === 0) return undefined;
    const opened = this.#openWith(await this.#current(background), others);
    if (opened === undefined && gone !== undefined) throw this.#versionGone(gone);
    return opened;
  }

  /** Tries one version on slots and wipes it. */
  #openWith({ key }: Version, slots: readonly KeySlot[]): UnwrappedRoot | undefined {
    try {
      const opened = firstUnwrapped(key, slots);
      if (opened === undefined) return undefined;
      this.#commitmentInUse = slots.find(({ id }) => id === opened.slotId)?.commitment;
      return opened;
    } finally {
      key.wipe();
    }
  }

  describe(): ProviderDescription {
    const { secretId, region, endpoint, versionStage, field } = this.#settings;
    return {
      kind: slotKind,
      source: secretId,
      parameters: {
        ...(region && { region }),
        ...(endpoint && { endpoint }),
        ...(versionStage && { versionStage }),
        ...(field && { field }),
      },
      rotates: true,
    };
  }

  /** Moves to the secret's newest version, which AWS or an operator has made. */
  async rotate(root: SecretKey, _binding: SlotBinding): Promise<PreparedRotation> {
    const slot = this.#wrapWith(await this.#current(), root);
    const inUse = this.#commitmentInUse;
    if (inUse !== undefined && constantTimeEqual(slot.commitment, inUse)) {
      throw rotationUnsupported(
        slotKind,
        `The secret ${this.#names.source} has no newer version: put one there first (aws secretsmanager put-secret-value).`,
      );
    }
    return inPlace(slot);
  }

  #wrapWith({ key, arn, id }: Version, root: SecretKey): NewKeySlot {
    try {
      return wrapSlot(key, root, slotKind, encodeFacts({ secret: arn, version: id }));
    } finally {
      key.wipe();
    }
  }

  #current(isBackground = false): Promise<Version> {
    const stage = this.#settings.versionStage ?? 'AWSCURRENT';
    return this.#fetch({ VersionStage: stage }, isBackground);
  }

  /** The version of this id; undefined if it is no longer there. */
  async #named(id: string, isBackground: boolean): Promise<Version | undefined> {
    if (!versionPattern.test(id)) return undefined;
    try {
      return await this.#fetch({ VersionId: id }, isBackground);
    } catch (error) {
      if (error instanceof AwsRefusal && error.code === 'KEY_MISSING') return undefined;
      throw error;
    }
  }

  async #fetch(
    which: { VersionId?: string; VersionStage?: string },
    isBackground: boolean,
  ): Promise<Version> {
    const { secretId, client: given, retry } = this.#settings;
    const { SecretsManagerClient, GetSecretValueCommand } = await optionalPackage(
      packageName,
      () => import('@aws-sdk/client-secrets-manager'),
    );
    const command = new GetSecretValueCommand({ SecretId: secretId, ...which });
    const own =
      given === undefined ? new SecretsManagerClient(clientSettings(this.#settings)) : undefined;
    try {
      const client = given ?? (own as AwsClient);
      const answer = await sendToAws<Answer>(this.#names, client, command, { retry, isBackground });
      return { key: this.#keyIn(answer), arn: answer.ARN ?? secretId, id: answer.VersionId ?? '' };
    } finally {
      own?.destroy();
    }
  }

  #versionGone(id: string): VerityError {
    const { source, kind } = this.#names;
    return new VerityError(
      'KEY_MISSING',
      `The secret ${source} no longer has version ${id}, which this database was locked with. ` +
        'Put that version back, or open with the recovery code.',
      { details: { provider: kind, key: source, version: id } },
    );
  }

  #keyIn({ SecretString: text, SecretBinary: binary }: Answer): SecretKey {
    const source = `The secret ${this.#names.source}`;
    if (binary?.length === 32) {
      const bytes = Uint8Array.from(binary);
      binary.fill(0);
      return new SecretKey(bytes);
    }
    if (binary !== undefined) return parseHexKey(binary, source);
    return parseHexKey(Buffer.from(this.#digitsIn(text), 'latin1'), source);
  }

  #digitsIn(text: string | undefined): string {
    const { field } = this.#settings;
    if (text === undefined || field === undefined) return text ?? '';
    let value: unknown;
    try {
      value = (JSON.parse(text) as Record<string, unknown> | null)?.[field];
    } catch {
      value = undefined; // JSON.parse quotes what it cannot read: its error must not go further.
    }
    if (typeof value === 'string') return value;
    throw new VerityError(
      'KEY_INVALID',
      `The secret ${this.#names.source} is no JSON object with a text under "${field}". Check the secret or { field }.`,
    );
  }
}
