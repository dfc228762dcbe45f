/**
 * A session with a PKCS#11 token, and the AES keys of one label in it. Everything is synchronous, as the standard's
 * functions are: nothing of this process comes between the steps of one use.
 */
import { VerityError } from '../base/index.ts';
import type { Pkcs11Library, Pkcs11Module } from './pkcs11-library.ts';
import { ProviderDown } from './retry.ts';
import type { TokenPlace } from './token-place.ts';

type Handle = Buffer;

/** A key in the token. */
export interface TokenKey {
  readonly handle: Handle;
  /** Hex of CKA_ID. */
  readonly id: string;
  /** Hex of CKA_CHECK_VALUE, a short fingerprint of the key; empty if the token tells none. */
  readonly check: string;
  /** Whether the token never shows its bytes. */
  readonly isSensitive: boolean;
}

const keysMax = 64;
const ivBytes = 12;
const tagBits = 128;
const alreadyInitialized = 'CKR_CRYPTOKI_ALREADY_INITIALIZED';
const alreadyLoggedIn = 'CKR_USER_ALREADY_LOGGED_IN';
/** What tokens say of a ciphertext that does not open. */
const unopened =
  /^CKR_(GENERAL_ERROR|FUNCTION_FAILED|ENCRYPTED_DATA_(INVALID|LEN_RANGE)|AEAD_DECRYPT_FAILED)$/;
const refused =
  /^CKR_(PIN_|USER_|SESSION_READ_ONLY|TOKEN_WRITE_PROTECTED|KEY_FUNCTION_NOT_PERMITTED)/;
const unfit = /^CKR_(MECHANISM_|KEY_TYPE_|KEY_SIZE_|ATTRIBUTE_|TEMPLATE_|FUNCTION_NOT_SUPPORTED)/;

/** Opens a session, logs in, runs `work`, and leaves the token as it was. Throws ProviderDown, VerityError. */
export function withToken<T>(
  library: Pkcs11Library,
  place: TokenPlace,
  work: (session: TokenSession) => T,
): T {
  const token = loadModule(library, place.module);
  let initialized = false;
  try {
    initialized = unless(alreadyInitialized, () => token.C_Initialize());
    const flags = library.CKF_SERIAL_SESSION | library.CKF_RW_SESSION;
    const session = token.C_OpenSession(slotOf(token, place), flags);
    let loggedIn = false;
    try {
      loggedIn = unless(alreadyLoggedIn, () => token.C_Login(session, library.CKU_USER, place.pin));
      return work(new TokenSession(library, token, session));
    } finally {
      if (loggedIn) quietly(() => token.C_Logout(session));
      quietly(() => token.C_CloseSession(session));
    }
  } catch (error) {
    throw meaningOf(error, place);
  } finally {
    // Another user of the module in this process keeps it.
    if (initialized) quietly(() => token.C_Finalize());
    token.close();
  }
}

/** What a provider does with a token while a session is open. */
export class TokenSession {
  readonly #library: Pkcs11Library;
  readonly #token: Pkcs11Module;
  readonly #session: Handle;

  constructor(library: Pkcs11Library, token: Pkcs11Module, session: Handle) {
    this.#library = library;
    this.#token = token;
    this.#session = session;
  }

  /** The AES keys of this label, the newest (highest id) first. */
  keys(label: string): TokenKey[] {
    const { CKA_CLASS, CKO_SECRET_KEY, CKA_KEY_TYPE, CKK_AES, CKA_LABEL } = this.#library;
    this.#token.C_FindObjectsInit(this.#session, [
      { type: CKA_CLASS, value: CKO_SECRET_KEY },
      { type: CKA_KEY_TYPE, value: CKK_AES },
      { type: CKA_LABEL, value: label },
    ]);
    let handles: Handle[];
    try {
      handles = this.#token.C_FindObjects(this.#session, keysMax);
    } finally {
      this.#token.C_FindObjectsFinal(this.#session);
    }
    return handles
      .map((handle) => this.#describe(handle))
      .toSorted((left, right) => compareIds(right.id, left.id));
  }

  /** Makes an AES-256 key that never leaves the token. `id` is hex. */
  generate(label: string, id: string): TokenKey {
    const p = this.#library;
    const handle = this.#token.C_GenerateKey(this.#session, { mechanism: p.CKM_AES_KEY_GEN }, [
      { type: p.CKA_CLASS, value: p.CKO_SECRET_KEY },
      { type: p.CKA_KEY_TYPE, value: p.CKK_AES },
      { type: p.CKA_LABEL, value: label },
      { type: p.CKA_ID, value: Buffer.from(id, 'hex') },
      { type: p.CKA_VALUE_LEN, value: 32 },
      { type: p.CKA_TOKEN, value: true },
      { type: p.CKA_PRIVATE, value: true },
      { type: p.CKA_SENSITIVE, value: true },
      { type: p.CKA_EXTRACTABLE, value: false },
      { type: p.CKA_ENCRYPT, value: true },
      { type: p.CKA_DECRYPT, value: true },
    ]);
    return this.#describe(handle);
  }

  destroy(key: TokenKey): void {
    this.#token.C_DestroyObject(this.#session, key.handle);
  }

  /** AES-256-GCM in the token: nonce ‖ ciphertext ‖ tag. */
  encrypt(key: TokenKey, iv: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const output = Buffer.alloc(plaintext.length + 64);
    this.#token.C_EncryptInit(this.#session, this.#gcm(iv, aad), key.handle);
    // A view, not a copy: the caller wipes what it owns.
    const sealed = this.#token.C_Encrypt(this.#session, viewOf(plaintext), output);
    return Uint8Array.from([...iv, ...sealed]);
  }

  /** What `encrypt` sealed, which the caller wipes; undefined if it does not open with this key. */
  decrypt(key: TokenKey, sealed: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
    if (sealed.length <= ivBytes + tagBits / 8) return undefined;
    const output = Buffer.alloc(sealed.length + 64);
    this.#token.C_DecryptInit(
      this.#session,
      this.#gcm(sealed.subarray(0, ivBytes), aad),
      key.handle,
    );
    try {
      const opened = this.#token.C_Decrypt(this.#session, viewOf(sealed.subarray(ivBytes)), output);
      return Uint8Array.from(opened);
    } catch (error) {
      if (unopened.test(cryptokiName(error) ?? '')) return undefined;
      throw error;
    } finally {
      output.fill(0);
    }
  }

  #gcm(iv: Uint8Array, aad: Uint8Array): { mechanism: number; parameter: Record<string, unknown> } {
    const { CKM_AES_GCM: mechanism, CK_PARAMS_AES_GCM: type } = this.#library;
    return { mechanism, parameter: { type, iv: Buffer.from(iv), aad: Buffer.from(aad), tagBits } };
  }

  #describe(handle: Handle): TokenKey {
    const { CKA_ID, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_CHECK_VALUE } = this.#library;
    return {
      handle,
      id: this.#attribute(handle, CKA_ID).toString('hex'),
      check: this.#attribute(handle, CKA_CHECK_VALUE).toString('hex'),
      isSensitive:
        this.#attribute(handle, CKA_SENSITIVE)[0] === 1 &&
        this.#attribute(handle, CKA_EXTRACTABLE)[0] === 0,
    };
  }

  /** An attribute's bytes; empty if the token does not have it. */
  #attribute(handle: Handle, type: number): Buffer {
    try {
      const [found] = this.#token.C_GetAttributeValue(this.#session, handle, [{ type }]);
      return found?.value ?? Buffer.alloc(0);
    } catch (error) {
      if (cryptokiName(error)?.startsWith('CKR_ATTRIBUTE_') === true) return Buffer.alloc(0);
      throw error;
    }
  }
}

function loadModule(library: Pkcs11Library, path: string): Pkcs11Module {
  const token = new library.PKCS11();
  try {
    token.load(path);
    return token;
  } catch {
    throw new VerityError(
      'KEY_PROVIDER_MISSING',
      `The PKCS#11 module ${path} cannot be loaded. Check the path, and that the token's driver is installed.`,
      { details: { module: path } },
    );
  }
}

function slotOf(token: Pkcs11Module, place: TokenPlace): Handle {
  const slots = token.C_GetSlotList(true);
  if (slots.length === 0) throw new ProviderDown('no token is there');
  const found = slots.find((slot) => {
    if (place.slot !== undefined) return slotId(slot) === BigInt(place.slot);
    return token.C_GetTokenInfo(slot).label.trimEnd() === place.tokenLabel;
  });
  if (found !== undefined) return found;
  throw new VerityError(
    'KEY_MISSING',
    `The module ${place.module} has no token ${nameOf(place)}. Check its label, or list the slots.`,
  );
}

/** A slot's id as a number: a native long, of 4 bytes on Windows. */
function slotId(handle: Handle): bigint {
  return handle.length === 8 ? handle.readBigUInt64LE() : BigInt(handle.readUInt32LE());
}

export function nameOf({ tokenLabel, slot }: TokenPlace): string {
  return slot === undefined ? `"${tokenLabel ?? ''}"` : `in slot ${slot}`;
}

/** Ids are numbers of any length, the highest byte first. */
function compareIds(left: string, right: string): number {
  const [a, b] = [left, right].map((id) => BigInt(`0x0${id}`)) as [bigint, bigint];
  return a < b ? -1 : a > b ? 1 : 0;
}

/** ProviderDown for a device in trouble, else a VerityError. Tokens' errors have names and no secrets. */
function meaningOf(error: unknown, place: TokenPlace): unknown {
  const name = cryptokiName(error);
  if (name === undefined) return error;
  const key = nameOf(place);
  const details = { provider: 'pkcs11', key, reason: name };
  if (refused.test(name)) {
    return new VerityError(
      'KEY_PROVIDER_DENIED',
      `The token ${key} refuses: ${name}. Check the PIN before trying again: tokens lock after a few wrong ones.`,
      { details },
    );
  }
  if (unfit.test(name)) {
    return new VerityError(
      'KEY_INVALID',
      `The token ${key} cannot use this key with AES-GCM: ${name}. Make an AES-256 key for it.`,
      { details },
    );
  }
  return new ProviderDown(name);
}

/** The standard's name of an error that the library threw, e.g. CKR_PIN_INCORRECT. */
function cryptokiName(error: unknown): string | undefined {
  const message = error instanceof Error ? error.message : '';
  return /^CKR_[A-Z0-9_]{1,60}/.exec(message)?.[0];
}

/** Runs `action`; false if it failed with this error alone. */
function unless(name: string, action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (cryptokiName(error) === name) return false;
    throw error;
  }
}

/** For cleaning up, where an error would hide the one before it. */
function quietly(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (cryptokiName(error) === undefined) throw error;
  }
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
