/** The argument of --master-key: one text that names a key provider and where its key is, and never holds a secret. */
import { VerityError } from '../base/index.ts';
import { keys, type MasterKeyProvider } from '../database/index.ts';
import { usageError } from './failure.ts';
import { readSecret } from './secret-prompt.ts';
import type { Terminal } from './terminal.ts';

/** What a URI says, before any secret is asked for. */
export type KeyUri =
  | { readonly kind: 'file' | 'public-key'; readonly path: string }
  | { readonly kind: 'key-pair'; readonly path: string; readonly acceptForeign: boolean }
  | { readonly kind: 'environment'; readonly variable: string | undefined }
  | { readonly kind: 'passphrase' }
  | { readonly kind: 'aws-secret' | 'aws-kms'; readonly id: string; readonly facts: Facts }
  | {
      readonly kind: 'pkcs11';
      readonly module: string;
      readonly token: string | undefined;
      readonly slot: number | undefined;
      readonly key: string;
      readonly pinFile: string | undefined;
    };

type Facts = Readonly<Record<string, string>>;

export const keyUriHelp = `
--master-key takes one of
  file:PATH                       64 hex digits
  env:NAME                        64 hex digits in a variable, or in .env
  passphrase:                     VERITY_PASSPHRASE, else asked for
  key-pair:PATH[?accept-foreign]  passphrase as above; also opens what was locked with the public key alone
  public-key:PATH                 wraps only
  aws-secret:ID[?region=R&endpoint=URL&field=NAME&stage=STAGE]
  aws-kms:ID[?region=R&endpoint=URL]
  pkcs11:token=T;object=KEY?module-path=FILE[&pin-source=FILE]   (RFC 7512; or slot-id=N; the PIN also from
                                  VERITY_PKCS11_PIN, else asked for)`;

const form = 'Give it as file:, env:, passphrase:, key-pair:, aws-secret:, aws-kms: or pkcs11:.';

/** Reads a URI. Throws INVALID_ARGUMENT (exit code 2), never showing more of it than its scheme. */
export function parseKeyUri(uri: string): KeyUri {
  const colon = uri.indexOf(':');
  const scheme = colon < 0 ? '' : uri.slice(0, colon);
  const rest = uri.slice(colon + 1);
  switch (scheme) {
    case 'file':
    case 'public-key':
      return { kind: scheme, path: needed(scheme, 'a path', rest) };
    case 'key-pair':
      return parseKeyPair(rest);
    case 'env':
      return { kind: 'environment', variable: rest === '' ? undefined : rest };
    case 'passphrase':
      if (rest === '') return { kind: 'passphrase' };
      throw usageError(
        'passphrase: takes no text: others could read it in the list of processes. Set VERITY_PASSPHRASE.',
      );
    case 'aws-secret':
      return parseAws(scheme, rest, ['region', 'endpoint', 'field', 'stage']);
    case 'aws-kms':
      return parseAws(scheme, rest, ['region', 'endpoint']);
    case 'pkcs11':
      return parsePkcs11(rest);
    default:
      throw usageError(`--master-key has no known form. ${form}`);
  }
}

const acceptForeign = '?accept-foreign';

/** Paths may hold a question mark: only this one end of them is a parameter. */
function parseKeyPair(rest: string): KeyUri {
  const accepts = rest.endsWith(acceptForeign);
  const path = accepts ? rest.slice(0, -acceptForeign.length) : rest;
  if (!path.includes(acceptForeign)) {
    return { kind: 'key-pair', path: needed('key-pair', 'a path', path), acceptForeign: accepts };
  }
  throw usageError('key-pair: takes ?accept-foreign, without a value, and nothing else.');
}

function parseAws(kind: 'aws-secret' | 'aws-kms', rest: string, known: string[]): KeyUri {
  const [id = '', ...query] = rest.split('?');
  return { kind, id: needed(kind, 'an id', id), facts: factsIn(kind, query.join('?'), '&', known) };
}

/** RFC 7512, as far as it names one key: token or slot-id, object; module-path, pin-source. */
function parsePkcs11(rest: string): KeyUri {
  const [path = '', ...query] = rest.split('?');
  const place = factsIn('pkcs11', path, ';', ['token', 'slot-id', 'object', 'type']);
  const how = factsIn('pkcs11', query.join('?'), '&', ['module-path', 'pin-source']);
  const { token, object, 'slot-id': slotText } = place;
  const { 'module-path': module, 'pin-source': pinFile } = how;
  const slot = slotText === undefined ? undefined : Number(slotText);
  if ((token === undefined) === (slot === undefined) || !(slot === undefined || slot >= 0)) {
    throw usageError('pkcs11: needs either token=LABEL or slot-id=NUMBER.');
  }
  return {
    kind: 'pkcs11',
    module: needed('pkcs11', 'module-path=FILE', module),
    token,
    slot,
    key: needed('pkcs11', 'object=LABEL', object),
    pinFile: pinFile?.replace(/^file:(\/\/)?/, ''),
  };
}

function factsIn(scheme: string, text: string, separator: string, known: string[]): Facts {
  const facts: Record<string, string> = {};
  for (const pair of text.split(separator)) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = equals < 0 ? pair : pair.slice(0, equals);
    if (name === 'pin-value') {
      throw usageError(
        'pin-value is not taken: others could read it in the list of processes. Use pin-source=FILE or VERITY_PKCS11_PIN.',
      );
    }
    if (!known.includes(name) || equals < 0) {
      throw usageError(
        `${scheme}: takes ${known.map((one) => `${one}=`).join(', ')} and nothing else.`,
      );
    }
    facts[name] = decoded(scheme, pair.slice(equals + 1));
  }
  return facts;
}

function decoded(scheme: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw usageError(`${scheme}: has a % that is not followed by two hex digits.`);
  }
}

function needed(scheme: string, what: string, text: string | undefined): string {
  if (text !== undefined && text !== '') return text;
  throw usageError(`${scheme}: needs ${what}. See \`verity --help\`.`);
}

/** The provider that a URI names; asks for the secret that it needs, if that is not in the environment. */
export async function providerOf(uri: KeyUri, terminal: Terminal): Promise<MasterKeyProvider> {
  switch (uri.kind) {
    case 'file':
      return keys.fromFile(uri.path);
    case 'environment':
      return keys.fromEnv(uri.variable);
    case 'passphrase':
      return keys.fromPassphrase(await passphrase(terminal));
    case 'key-pair':
      return keys.fromKeyPair({
        privateKeyFile: uri.path,
        passphrase: await passphrase(terminal),
        acceptForeign: uri.acceptForeign,
      });
    case 'public-key':
      return keys.fromKeyPair({ publicKeyFile: uri.path });
    case 'aws-secret': {
      const { stage, ...facts } = uri.facts;
      return keys.fromAwsSecretsManager({
        secretId: uri.id,
        ...facts,
        ...(stage !== undefined && { versionStage: stage }),
        retry: waitingFor('AWS Secrets Manager', terminal),
      });
    }
    case 'aws-kms':
      return keys.fromAwsKms({
        keyId: uri.id,
        ...uri.facts,
        retry: waitingFor('AWS KMS', terminal),
      });
    case 'pkcs11':
      return keys.fromPkcs11({
        module: uri.module,
        ...(uri.token !== undefined && { tokenLabel: uri.token }),
        ...(uri.slot !== undefined && { slot: uri.slot }),
        keyLabel: uri.key,
        retry: waitingFor('the PKCS#11 token', terminal),
        pin:
          uri.pinFile === undefined ? await pin(terminal) : keys.readSecretText(uri.pinFile, 'PIN'),
      });
  }
}

/** Tells somebody who watches that the command waits. */
function waitingFor(service: string, terminal: Terminal): { onWait: (reason: string) => void } {
  return {
    onWait: (reason) => {
      if (terminal.stderr.isTTY !== true) return;
      terminal.stderr.write(`Waiting for ${service} (${reason}); trying again for 30 s.\n`);
    },
  };
}

function passphrase(terminal: Terminal): Promise<string> {
  return secretOf(terminal, 'VERITY_PASSPHRASE', 'Passphrase');
}

/** The passphrase of a new key: as `passphrase`, but typed twice. */
export async function newPassphrase(terminal: Terminal): Promise<string> {
  const first = await passphrase(terminal);
  const isTyped = (terminal.env['VERITY_PASSPHRASE'] ?? '') === '';
  if (isTyped && (await readSecret(terminal, 'The same again: ')) !== first) {
    throw usageError('The two passphrases differ. Nothing was written; try again.');
  }
  return first;
}

function pin(terminal: Terminal): Promise<string> {
  return secretOf(terminal, 'VERITY_PKCS11_PIN', 'PIN of the token');
}

/** A secret from the environment, or typed. Never from a pipe: that may hold what the command is to read. */
async function secretOf(terminal: Terminal, variable: string, name: string): Promise<string> {
  const given = terminal.env[variable] ?? '';
  if (given !== '') return given;
  if (terminal.stdin.isTTY === true) return readSecret(terminal, `${name}: `);
  throw new VerityError(
    'KEY_MISSING',
    `${name} is not given. Set ${variable}, or run the command at a terminal.`,
  );
}
