/**
 * Prints the outcome of several runs of the same tests as one line in vitest's form, and exits with 1
 * when anything failed. A test counts as passed when it passed in every run.
 * Arguments: the runs' JSON reports, then the names of other steps that failed.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';

const reports = process.argv.slice(2).filter((argument) => argument.endsWith('.json'));
const failedSteps = process.argv.slice(2).filter((argument) => !argument.endsWith('.json'));

/** @type {Map<string, Set<string>>} The outcomes of each test, by file and full name. */
const outcomes = new Map();
for (const path of reports) {
  try {
    const report = JSON.parse(readFileSync(path, 'utf8'));
    for (const file of report.testResults) {
      // Tests of one name in one file (a table of cases) are told apart by their order.
      for (const [index, { fullName, status }] of file.assertionResults.entries()) {
        const key = `${file.name}\n${index}\n${fullName}`;
        outcomes.set(key, (outcomes.get(key) ?? new Set()).add(status));
      }
      if (file.status !== 'passed' && file.assertionResults.length === 0) {
        outcomes.set(file.name, new Set(['failed']));
      }
    }
  } catch (error) {
    failedSteps.push(`report ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const count = { failed: 0, passed: 0, skipped: 0 };
for (const statuses of outcomes.values()) {
  if (statuses.has('failed')) count.failed++;
  else if (statuses.has('passed')) count.passed++;
  else count.skipped++;
}
for (const step of failedSteps) console.log(`Failed: ${step}`);
const parts = Object.entries(count)
  .filter(([status, tests]) => tests > 0 || status === 'passed')
  .map(([status, tests]) => `${tests} ${status}`);
console.log(`      Tests  ${parts.join(' | ')} (${outcomes.size})`);
process.exit(failedSteps.length > 0 || count.failed > 0 || outcomes.size === 0 ? 1 : 0);
