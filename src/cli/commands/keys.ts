import { existsSync } from 'node:fs';
import {
  keys,
  type KeySlotReport,
  type KeysReport,
  type MasterKeyProvider,
  type PublicKeyExport,
  type RotateOptions,
  type Verity,
} from '../../database/index.ts';
import { type ExitCode, usageError } from '../failure.ts';
import { type Invocation, openDatabase } from '../invocation.ts';
import { parseKeyUri, providerOf } from '../master-key-uri.ts';
import { jsonDocument } from '../output/json.ts';
import { printable } from '../output/value-text.ts';
import { byteCount, count, type ProgressLine, startProgress } from '../progress.ts';

const tenantsShownMax = 20;

/** `verity keys list DIR`: ways to open the database, and how many secrets each tenant has. Shows no key. */
export async function runKeysList(invocation: Invocation): Promise<ExitCode> {
  await using database = await openDatabase(invocation, 'readOnly');
  const report = database.keys.list();
  const { json } = invocation.options;
  await invocation.output.write(
    json === true ? jsonDocument(listDocument(report)) : listText(report),
  );
  return 0;
}

/** The database's own keys have null for a tenant. */
function listDocument(report: KeysReport): object {
  const tenants = report.tenants.map(({ tenant, secrets }) => ({
    tenant: tenant ?? null,
    secrets,
  }));
  return { ...report, tenants };
}

function listText(report: KeysReport): string {
  const { generation, provider, slots, tenants, rekeyDue, publicKey } = report;
  const place = provider.source === '' ? '' : ` (${provider.source})`;
  const several = tenants.filter(({ secrets }) => secrets.length > 1);
  const lines = [
    `keyring     generation ${count(generation)}`,
    `opened by   ${provider.kind}${place}`,
    ...slots.map((slot) => `slot ${slot.id}      ${slotText(slot)}`),
    `public key  ed25519 ${publicKey}`,
    `tenants     ${count(tenants.length)} with keys, the database's own among them`,
    ...several.slice(0, tenantsShownMax).map(({ tenant, secrets }) => {
      const name = tenant ?? '(database)';
      return `            ${name}: secrets ${secrets.join(', ')}`;
    }),
    ...(several.length > tenantsShownMax
      ? [`            and ${count(several.length - tenantsShownMax)} more`]
      : []),
    rekeyDue
      ? 'older data  sealed under older secrets: `verity keys rekey` seals it anew'
      : 'older data  none sealed under older secrets',
  ];
  return lines.map((line) => `${printable(line)}\n`).join('');
}

function slotText({ kind, parameters }: KeySlotReport): string {
  const facts = Object.entries(parameters).map(([name, value]) => `${name} ${value}`);
  return facts.length === 0 ? kind : `${kind} (${facts.join(', ')})`;
}

export interface KeysRotateRequest {
  readonly newKeyFile: string | undefined;
  /** A URI, as for --master-key. */
  readonly newMasterKey: string | undefined;
  readonly tenant: string | undefined;
  readonly removeRecoveryCodes: boolean;
  /** The signing key instead. */
  readonly signing: boolean;
}

/** `verity keys rotate DIR`: a new master key, signing key, or keys of a tenant. Rewrites no data. */
export async function runKeysRotate(
  invocation: Invocation,
  request: KeysRotateRequest,
): Promise<ExitCode> {
  const { newKeyFile, newMasterKey, tenant, removeRecoveryCodes, signing } = request;
  const isNamed = newKeyFile !== undefined || newMasterKey !== undefined;
  if (signing && (isNamed || tenant !== undefined || removeRecoveryCodes))
    throw usageError('--signing rotates the signing key and no other. Give it alone.');
  if (newKeyFile !== undefined && newMasterKey !== undefined) {
    throw usageError('--new-key-file and --new-master-key exclude each other. Give one of them.');
  }
  if (tenant !== undefined && (isNamed || removeRecoveryCodes)) {
    throw usageError('--tenant rotates a tenant and not the master key. Give it alone.');
  }
  await using database = await openDatabase(invocation, 'write');
  if (signing) return await rotateSigning(database, invocation);
  const uri = newMasterKey ?? (newKeyFile === undefined ? undefined : `file:${newKeyFile}`);
  const masterKey = uri === undefined ? undefined : await newProvider(invocation, uri);
  const options: RotateOptions =
    tenant === undefined
      ? {
          ...(masterKey !== undefined && { masterKey }),
          recoveryCodes: removeRecoveryCodes ? 'remove' : 'keep',
        }
      : { tenant };
  const report = await database.keys.rotate(options);
  const { output } = invocation;
  if (invocation.options.json === true) await output.write(jsonDocument({ ...report, tenant }));
  else await output.write(rotateText(report.slots, { tenant, uri }));
  return 0;
}

async function rotateSigning(database: Verity, { options, output }: Invocation): Promise<ExitCode> {
  const exported = await database.keys.rotateSigningKey();
  await output.write(
    options.json === true
      ? jsonDocument(exported)
      : `Rotated the signing key. The old one says in the log that this takes its place:\n${printable(exported.vkey)}\n`,
  );
  return 0;
}

function rotateText(
  slots: readonly KeySlotReport[],
  { tenant, uri }: { readonly tenant: string | undefined; readonly uri: string | undefined },
): string {
  const older = 'Older data is still sealed under older keys; `verity keys rekey` seals it anew.\n';
  if (tenant !== undefined)
    return `Rotated the keys of tenant ${printable(tenant)}. Nothing was rewritten. ${older}`;
  const opens = slots.map(({ kind }) => kind).join(', ');
  const next = uri === undefined ? '' : `Open the database with ${printable(uri)} from now on.\n`;
  return `Rotated the master key. The database opens with: ${opens}. Nothing was rewritten. ${older}${next}`;
}

/** The provider that a URI names; a key file that is not there is created. */
async function newProvider(invocation: Invocation, text: string): Promise<MasterKeyProvider> {
  const uri = parseKeyUri(text);
  const { terminal } = invocation;
  if (uri.kind === 'file' && !existsSync(uri.path)) await keys.generateFile(uri.path);
  // The passphrase that opens is VERITY_PASSPHRASE; the new one has a variable of its own, or is asked for.
  const env = { ...terminal.env, VERITY_PASSPHRASE: terminal.env['VERITY_NEW_PASSPHRASE'] };
  return providerOf(uri, { ...terminal, env });
}

/** `verity keys export-public DIR`: the public half of the signing key, as PEM. */
export async function runKeysExportPublic(invocation: Invocation): Promise<ExitCode> {
  await using database = await openDatabase(invocation, 'readOnly');
  const exported = database.keys.exportPublic();
  const { json } = invocation.options;
  await invocation.output.write(json === true ? jsonDocument(exported) : publicText(exported));
  return 0;
}

function publicText({ pem, name, publicKey, vkey, earlierVkeys }: PublicKeyExport): string {
  const earlier = earlierVkeys.map((each) => `earlier ${printable(each)}\n`).join('');
  return `${pem}name    ${name}\nbase64  ${publicKey}\nvkey    ${printable(vkey)}\n${earlier}`;
}

/** `verity keys rekey DIR`: seals everything that older keys sealed anew under the newest. */
export async function runKeysRekey(
  invocation: Invocation,
  request: { readonly bytesPerSecond: number | undefined },
): Promise<ExitCode> {
  const { terminal, options, output } = invocation;
  await using database = await openDatabase(invocation, 'write');
  let line: ProgressLine | undefined;
  const { bytesPerSecond } = request;
  const report = await database.keys
    .rekey({
      ...(bytesPerSecond !== undefined && { bytesPerSecond }),
      onProgress: ({ bytesDone, bytesTotal }) => {
        line ??= startProgress({
          terminal,
          label: 'rekeying',
          total: bytesTotal,
          unit: 'bytes',
          quiet: options.json === true,
        });
        line.update(bytesDone);
      },
    })
    .finally(() => line?.end());
  const { segments, bytes, secretsRemoved } = report;
  await output.write(
    options.json === true
      ? jsonDocument(report)
      : `Sealed ${count(segments)} ${segments === 1 ? 'segment' : 'segments'} anew (${byteCount(bytes)}) and removed ` +
          `${count(secretsRemoved)} older ${secretsRemoved === 1 ? 'secret' : 'secrets'}.\n`,
  );
  return 0;
}
