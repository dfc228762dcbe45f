/**
 * Planted bugs. Each is a small change to a copy of the tree, and names the test that must notice it.
 * A suite that lets one live has a hole where that bug would be.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { root } from '../support/project.ts';

export interface Mutant {
  /** What the bug does, in words. */
  readonly name: string;
  /** The file it is planted in. */
  readonly file: string;
  /** Text that the file holds exactly once, and what stands there instead. */
  readonly find: string;
  readonly replace: string;
  /** The test that must fail: its file, and a part of its name. */
  readonly test: string;
  readonly named: string;
}

/** A mutant must be killed within this. */
const killSecondsMax = 20;

const timeoutMs = 120_000;

/** Without what a test runner that starts us has set for its own workers. */
function ownEnvironment(): Record<string, string | undefined> {
  const names = Object.keys(process.env).filter((name) => !name.startsWith('VITEST'));
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}

export interface Outcome {
  readonly passed: number;
  /** The names of tests that failed. */
  readonly failed: readonly string[];
  readonly seconds: number;
}

/** How often the file of a mutant holds the text that it changes. */
export function placesOf(mutant: Mutant, tree: string = root): number {
  return readFileSync(join(tree, mutant.file), 'utf8').split(mutant.find).length - 1;
}

/** A copy of the sources and tests, to plant bugs in. */
export class Copy {
  readonly path = mkdtempSync(join(tmpdir(), 'verity-mutants-'));

  constructor() {
    for (const name of ['src', 'test', 'package.json', 'vitest.config.ts', 'tsconfig.base.json']) {
      const filter = (source: string): boolean => !source.endsWith('.tsbuildinfo');
      cpSync(join(root, name), join(this.path, name), { recursive: true, filter });
    }
    symlinkSync(join(root, 'node_modules'), join(this.path, 'node_modules'), 'dir');
  }

  /** Runs a mutant's killer with the bug planted, and takes the bug out again. */
  runPlanted(mutant: Mutant): Outcome {
    if (placesOf(mutant, this.path) !== 1) {
      throw new Error(`"${mutant.name}": ${mutant.file} does not hold the text exactly once.`);
    }
    const path = join(this.path, mutant.file);
    const before = readFileSync(path, 'utf8');
    writeFileSync(
      path,
      before.replace(mutant.find, () => mutant.replace),
    );
    try {
      return this.run(mutant);
    } finally {
      writeFileSync(path, before);
    }
  }

  /** Runs a mutant's killer on the tree as it is. */
  run({ test, named }: Mutant): Outcome {
    const started = performance.now();
    const report = join(this.path, 'report.json');
    rmSync(report, { force: true });
    const only = [test, '-t', escaped(named), '--bail=1'];
    const args = ['run', ...only, '--reporter=json', `--outputFile=${report}`];
    const { stderr } = spawnSync(
      process.execPath,
      [join(root, 'node_modules/vitest/vitest.mjs'), ...args],
      { cwd: this.path, encoding: 'utf8', env: ownEnvironment(), timeout: timeoutMs },
    );
    const seconds = (performance.now() - started) / 1_000;
    return { ...readReport(report, stderr), seconds };
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

interface Report {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

function readReport(path: string, stderr: string): Pick<Outcome, 'passed' | 'failed'> {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8')) as Report;
  } catch (cause) {
    throw new Error(`The tests did not run: ${stderr.slice(-2_000)}`, { cause });
  }
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = tests.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
  const passed = tests.filter(({ status }) => status === 'passed').length;
  // A tree that does not load tells nothing about the test.
  if (failed.length + passed === 0) {
    const messages = report.testResults.map(({ message }) => message).join('\n');
    throw new Error(`No test ran. ${messages.slice(0, 2_000)}`);
  }
  return { passed, failed };
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}

/** What is wrong with how a mutant died; undefined if it died as it should. */
export function survival(mutant: Mutant, outcome: Outcome): string | undefined {
  if (outcome.failed.length === 0) return `lives: "${mutant.named}" in ${mutant.test} passes`;
  if (outcome.seconds > killSecondsMax) return `took ${Math.round(outcome.seconds)} s to die`;
  return undefined;
}
