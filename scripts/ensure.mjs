/**
 * Makes the working tree ready to run: installs the packages of package-lock.json when they are
 * missing or other ones, then builds what changed. Plain JavaScript and Node's own modules only,
 * because it runs on a fresh clone before anything is installed.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const oldestNode = { major: 20, minor: 19 };

/** The parsed file, or undefined when it is not there or not JSON. @param {string} path */
function readJson(path) {
  try {
    return JSON.parse(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8'));
  } catch {
    return undefined;
  }
}

/** Whether node_modules holds exactly what the lock file asks for; npm keeps its own copy inside. */
function isInstalled() {
  const wanted = readJson('package-lock.json')?.packages ?? {};
  const present = readJson('node_modules/.package-lock.json')?.packages;
  if (present === undefined) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = present[path];
    // Optional packages of other platforms are in the lock file and never on the disk.
    if (found === undefined) return entry.optional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

/**
 * Runs a command in the root and ends this process with its exit code when it fails.
 * @param {string} what @param {string} command @param {string[]} args
 */
function run(what, command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status === 0) return;
  console.error(`${what} failed${error === undefined ? '' : `: ${error.message}`}.`);
  process.exit(status ?? 1);
}

/** Runs the npm that started this script, or the one on the path. @param {string[]} args */
function runNpm(args) {
  const npm = process.env['npm_execpath'];
  if (npm !== undefined && /\.[cm]?js$/.test(npm)) run('npm ci', process.execPath, [npm, ...args]);
  else run('npm ci', process.platform === 'win32' ? 'npm.cmd' : 'npm', args);
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < oldestNode.major || (major === oldestNode.major && minor < oldestNode.minor)) {
  console.error(`VerityDB needs Node 20.19 or newer; this is ${process.version}.`);
  process.exit(1);
}
if (!isInstalled()) {
  console.error('Installing the packages of package-lock.json …');
  runNpm(['ci', '--no-audit', '--no-fund']);
}
run('The build', process.execPath, ['scripts/build.mjs']);
