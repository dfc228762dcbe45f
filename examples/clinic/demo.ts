/**
 * `npm run demo`: everything VerityDB is for, on synthetic clinical records, in under a minute.
 *
 * It works in the folder demo-data/ only, which it empties first. Every step is really done, through
 * the built package and its command; a step that does not hold ends the demo with exit code 1.
 */
import assert from 'node:assert/strict';
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import pc from 'picocolors';
import { keys, Verity } from 'veritydb';
import { findBytes } from './find-bytes.ts';
import { billingLines, linesPerBatch, readCsv } from './interrupted-import.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const dataFolder = join(root, 'demo-data');
const database = join(dataFolder, 'clinic');
const keyFile = join(dataFolder, 'clinic.key');
const damaged = join(dataFolder, 'damaged');
const receipts = join(dataFolder, 'receipts');
const csvFiles = readdirSync(here)
  .filter((name) => name.endsWith('.csv'))
  .map((name) => join(here, name));

/** Keys that the user's own shell may name must not reach the demo. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('VERITY_')),
);

interface CommandResult {
  readonly exitCode: number | null;
  readonly stdout: string;
}

/** Runs `verity` as a user would. Its messages go to the terminal; its output too unless it is captured. */
function verity(
  args: readonly string[],
  options: { capture?: boolean; env?: Record<string, string> } = {},
): CommandResult {
  console.log(pc.dim(`$ verity ${asTyped(args)}`));
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(root, 'dist/cli/main.js'), ...args],
    {
      cwd: root,
      env: { ...environment, ...options.env },
      stdio: ['ignore', options.capture === true ? 'pipe' : 'inherit', 'inherit'],
      encoding: 'utf8',
    },
  );
  return { exitCode: status, stdout: stdout ?? '' };
}

/** The arguments as one would type them in the project's folder. */
function asTyped(args: readonly string[]): string {
  const words = args.map((arg) => (arg.includes(' ') ? `"${arg}"` : arg.replace(root, '')));
  return words.join(' ').replace(/(?: examples\/clinic\/\S+\.csv)+/, ' examples/clinic/*.csv');
}

const shown: [string, string][] = [];

async function step(title: string, run: () => Promise<string> | string): Promise<void> {
  console.log(`\n${pc.bold(pc.cyan(`${shown.length + 1}. ${title}`))}`);
  shown.push([title, await run()]);
}

function createDatabase(): string {
  rmSync(dataFolder, { recursive: true, force: true });
  mkdirSync(dataFolder, { mode: 0o700 });
  const { exitCode, stdout } = verity(['init', database, '--key-file', keyFile], { capture: true });
  console.log(stdout.trimEnd());
  assert.equal(exitCode, 0, '`verity init` succeeds');
  assert.equal(statSync(keyFile).mode & 0o777, 0o600, 'only its owner can read the key file');
  const code = /^Recovery code: (.+)$/m.exec(stdout)?.[1];
  assert(code, 'the recovery code is printed');
  console.log('\nThe recovery code opens the database too, without the key file:');
  const env = { VERITY_RECOVERY_CODE: code };
  // A copy elsewhere: there is no key file beside it.
  const copy = join(dataFolder, 'recovered');
  copyDatabase(database, copy);
  const recovered = verity(['status', copy], { capture: true, env });
  rmSync(copy, { recursive: true });
  assert.equal(recovered.exitCode, 0, 'the recovery code opens the database');
  console.log(firstLines(recovered.stdout, /^(log|encryption|key slots) {2}/));
  return 'opens with its key file (0600), and with the recovery code';
}

async function importRecords(): Promise<string> {
  const reason = 'migration from the old system';
  const args = [
    'import',
    database,
    '--key-file',
    keyFile,
    '--tenant',
    'clinic',
    '--actor',
    'admin',
    '--reason',
    reason,
  ];
  const { exitCode } = verity([...args, ...csvFiles]);
  assert.equal(exitCode, 0, '`verity import` succeeds');
  await using db = await openDatabase();
  const tables = await db.tenant('clinic').tables();
  const rows = tables.reduce((sum, table) => sum + table.rowCount, 0);
  const expected = csvFiles.reduce((sum, file) => sum + readCsv(file).length, 0);
  assert.equal(rows, expected, 'every row of every file is there');
  const patients = tables.find((table) => table.name === 'patients');
  assert.deepEqual(patients?.primaryKey, ['id'], 'patients have their primary key');
  return `${rows} rows of ${tables.length} CSV files in typed tables`;
}

interface Patient extends Record<string, unknown> {
  id: string;
  first: string;
  last: string;
  ssn: string;
  address: string;
}

async function correctAddress(): Promise<string> {
  await using db = await openDatabase();
  const clinic = db.tenant('clinic');
  const byId = 'SELECT id, first, last, ssn, address FROM patients WHERE id = $1';
  const { id, address } = firstPatient();
  const before = await clinic.query<Patient>(byId, [id]);
  const corrected = '12 Elm Street';
  const { position } = await clinic.execute(
    'UPDATE patients SET address = $1 WHERE id = $2',
    [corrected, id],
    {
      actor: 'nurse.adams',
      reason: 'the patient moved; told us at the front desk',
    },
  );
  const then = await clinic.queryAt<Patient>(byId, [id], before.position);
  const now = await clinic.queryAt<Patient>(byId, [id], position);
  assert.equal(then.rows[0]?.address, address, 'the old address is still readable as of then');
  assert.equal(now.rows[0]?.address, corrected, 'the new address is readable as of now');
  console.log(
    `As of position ${before.position}: ${then.rows[0]?.first} ${then.rows[0]?.last}, ${then.rows[0]?.address}`,
  );
  console.log(
    `As of position ${position}: ${now.rows[0]?.first} ${now.rows[0]?.last}, ${now.rows[0]?.address}`,
  );
  const changes = await clinic.history('patients', [id]);
  assert.deepEqual(
    changes.map((change) => change.kind),
    ['insert', 'update'],
    'both changes are listed',
  );
  assert.equal(changes[1]?.actor, 'nurse.adams', 'the list names who');
  await db.close();
  const { exitCode } = verity([
    'history',
    database,
    '--key-file',
    keyFile,
    '--tenant',
    'clinic',
    'patients',
    id,
  ]);
  assert.equal(exitCode, 0, '`verity history` succeeds');
  return 'before and after; who changed it, when and why';
}

function searchForPlaintext(): string {
  const patient = firstPatient();
  const secrets = [patient.last, patient.ssn];
  const control = findBytes(here, secrets);
  assert.notEqual(control.found.length, 0, 'the search finds them in the CSV files');
  const { files, bytes, found } = findBytes(dataFolder, secrets);
  console.log(`Looked for "${patient.last}" and "${patient.ssn}" as UTF-8, UTF-16, hex and base64`);
  console.log(
    `in ${bytes.toLocaleString('en')} bytes of ${files} files: ${found.length} found (in the CSV files: ${control.found.length}).`,
  );
  assert.deepEqual(found, [], 'nothing on disk shows a name or a number');
  return `no name and no SSN in any byte of ${files} files`;
}

async function killAnImport(): Promise<string> {
  const csvFile = join(here, 'claims_transactions.csv');
  const acknowledged = await runUntilKilled([database, keyFile, csvFile]);
  assert(acknowledged.size > 0, 'some batches were acknowledged');
  await using db = await openDatabase();
  const clinic = db.tenant('clinic');
  const { rows } = await clinic.query<{ batch: number; line: number; claim: string }>(
    'SELECT batch, line, claim FROM billing ORDER BY batch, line',
  );
  const stored = new Map<number, string[]>();
  for (const { batch, claim } of rows) stored.set(batch, [...(stored.get(batch) ?? []), claim]);
  const records = readCsv(csvFile);
  for (const batch of acknowledged)
    assert(stored.has(batch), `acknowledged batch ${batch} is there`);
  for (const [batch, claims] of stored) {
    assert.deepEqual(
      claims,
      billingLines(records, batch).map((record) => record['CLAIMID']),
      `batch ${batch} is whole`,
    );
  }
  const unanswered = stored.size - acknowledged.size;
  console.log(
    `Acknowledged before SIGKILL: ${acknowledged.size} batches of ${linesPerBatch} rows. After reopening: all of them,`,
  );
  console.log(
    `and ${unanswered} more that were durable but not yet answered. Batches that are there in part: 0.`,
  );
  return `all ${acknowledged.size * linesPerBatch} acknowledged rows there, no half batch`;
}

/** Starts the import in a process of its own, kills it in full flight and returns the batches it reported. */
async function runUntilKilled(args: readonly string[]): Promise<Set<number>> {
  const script = join(here, 'interrupted-import.ts');
  const child = fork(script, [...args], {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const acknowledged = new Set<number>();
  const killAfter = 100 + Math.floor(Math.random() * 200);
  assert(child.stdout);
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.add(Number(line));
    if (acknowledged.size === killAfter) child.kill('SIGKILL');
  }
  const [, signal] = (await exited) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL', 'the import was killed, it did not end');
  return acknowledged;
}

async function verifyAndDamage(): Promise<string> {
  const whole = verity(['verify', database, '--key-file', keyFile]);
  assert.equal(whole.exitCode, 0, 'the database verifies');
  copyDatabase(database, damaged);
  const { file, offset } = flipOneByte(damaged);
  console.log(`\nNow a copy in which one byte of ${file} is changed, byte ${offset}:`);
  const broken = verity(['verify', damaged, '--key-file', keyFile, '--json'], { capture: true });
  assert.equal(broken.exitCode, 3, 'verification of the damaged copy exits with 3');
  const report = JSON.parse(broken.stdout) as {
    findings: { file: string; offset: number; code: string; message: string }[];
  };
  const finding = report.findings[0];
  assert(finding, 'the damage is reported');
  console.log(
    `${finding.file} at byte ${finding.offset}: ${finding.code} (exit code ${broken.exitCode})`,
  );
  console.log(finding.message);
  assert.equal(finding.file, file, 'the damaged file is named');
  assert(finding.offset <= offset, 'the place lies at or before the changed byte');
  return 'intact: exit 0; one byte changed: file and offset, exit 3';
}

function giveReceipt(): string {
  const { id } = firstPatient();
  const opened = ['--key-file', keyFile];
  mkdirSync(receipts);
  const vkeyOf = verity(['keys', 'export-public', database, ...opened, '--json'], {
    capture: true,
  });
  const { vkey } = JSON.parse(vkeyOf.stdout) as { vkey: string };
  const row = ['--tenant', 'clinic', '--table', 'patients', '--key', id];
  const made = verity(['receipt', database, ...opened, ...row], { capture: true });
  assert.equal(made.exitCode, 0, 'a receipt of the whole history of the row is made');
  const receipt = join(receipts, 'patient.json');
  writeFileSync(receipt, made.stdout);
  console.log('\nAnyone who has the verifier key can check it, without the database and its keys:');
  const holds = verity(['check', receipt, '--key', vkey], { capture: true });
  assert.equal(holds.exitCode, 0, 'the receipt holds');
  const told = firstLines(
    holds.stdout,
    /^(The receipt|Table|Position|│ address|Checkpoint| {2}root)/,
  );
  console.log(told.replaceAll(/^(.{140}).+$/gm, '$1…'));
  const forged = join(receipts, 'forged.json');
  const at = made.stdout.length >> 1;
  const other = made.stdout[at] === 'A' ? 'B' : 'A';
  writeFileSync(forged, made.stdout.slice(0, at) + other + made.stdout.slice(at + 1));
  console.log('One character changed:');
  const refused = verity(['check', forged, '--key', vkey], { capture: true });
  assert.equal(refused.exitCode, 3, 'a receipt with a changed character does not hold');
  const page = verity(['check', '--page'], { capture: true });
  writeFileSync(join(receipts, 'verify.html'), page.stdout);
  return 'holds without database and key; one character changed: exit 3';
}

/** Changes one byte in the middle of the written part of the log. */
function flipOneByte(directory: string): { file: string; offset: number } {
  const log = readdirSync(join(directory, 'log'))
    .filter((name) => name.endsWith('.vlog'))
    .sort()[0];
  assert(log, 'the database has a log');
  const path = join(directory, 'log', log);
  const bytes = readFileSync(path);
  // The file is filled up with zeros: take the middle of what is not.
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  const offset = Math.floor(end / 2);
  bytes[offset] = (bytes[offset] as number) ^ 1;
  writeFileSync(path, bytes);
  return { file: `log/${log}`, offset };
}

/** Copies a database; the lock belongs to a running process, not to the data. */
function copyDatabase(from: string, to: string): void {
  cpSync(from, to, { recursive: true, filter: (source) => !source.endsWith('LOCK') });
}

function openDatabase(): Promise<Verity> {
  return Verity.open(database, { masterKey: keys.fromFile(keyFile), create: false });
}

/** The first patient of the file, as the file has it. */
function firstPatient(): { id: string; last: string; ssn: string; address: string } {
  const record = readCsv(join(here, 'patients.csv'))[0] ?? {};
  const { Id: id = '', LAST: last = '', SSN: ssn = '', ADDRESS: address = '' } = record;
  assert(id && last && ssn && address, 'the first patient has a name, an SSN and an address');
  return { id, last, ssn, address };
}

function firstLines(text: string, pattern: RegExp): string {
  return text
    .split('\n')
    .filter((line) => pattern.test(line))
    .join('\n');
}

function summary(): void {
  const table = new Table({ head: ['', 'Shown', 'Result'], style: { head: [], border: [] } });
  shown.forEach(([title, result], index) => table.push([index + 1, title, result]));
  console.log(`\n${pc.bold(pc.cyan(`${shown.length + 1}. What was shown`))}\n${table.toString()}`);
  const command = 'npx verity';
  console.log(`\n${pc.bold('Try next')}`);
  console.log(
    `  ${command} sql demo-data/clinic --tenant clinic -c "SELECT first, last, birthdate, zip FROM patients LIMIT 5"`,
  );
  console.log(`  ${command} sql demo-data/clinic --tenant clinic`);
  console.log(`  ${command} verify demo-data/damaged --key-file demo-data/clinic.key`);
  console.log(
    '  a browser: demo-data/receipts/verify.html, and drop demo-data/receipts/patient.json onto it',
  );
}

const started = performance.now();
try {
  await step('An encrypted database', createDatabase);
  await step('Clinical records, imported', importRecords);
  await step('A correction, and the past kept', correctAddress);
  await step('Nothing readable on disk', searchForPlaintext);
  await step('An import killed half-way', killAnImport);
  await step('Verification', verifyAndDamage);
  await step('A receipt for an outsider', giveReceipt);
  summary();
  console.log(
    pc.dim(
      `\n${((performance.now() - started) / 1000).toFixed(1)} s; everything lies in demo-data/.`,
    ),
  );
} catch (error) {
  const what = error instanceof Error ? error.message : String(error);
  console.error(`\n${pc.red('The demo failed:')} this should hold, and does not: ${what}`);
  process.exitCode = 1;
}
