/** The page that checks receipts, in a real browser without a network: good, tampered, wrong key. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatReceipt } from '../../src/receipt/index.ts';
import { Signer } from '../support/receipt-log.ts';
import { clinicWorld } from '../support/receipt-world.ts';
import { root } from '../support/project.ts';

const executablePath = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find(existsSync);
if (executablePath === undefined) {
  // CI installs one (.ci/run): there this must not be skipped.
  if (process.env['CI'] !== undefined && process.platform === 'linux' && process.getuid?.() === 0)
    throw new Error('Chromium is missing; .ci/run installs it.');
  process.stderr.write(
    'The tests of the page are skipped: there is no Chromium (apt install chromium).\n',
  );
}

const world = clinicWorld();
const { leaf, signer } = world;
const witness = new Signer('witness.example', 31, 4);
const receipt = formatReceipt(
  world.log.receipt({
    kind: 'position',
    events: [leaf.annaAgain],
    context: [leaf.created, leaf.defined, leaf.anna],
    signers: [signer, witness],
  }),
);
const history = formatReceipt(
  world.log.receipt({
    kind: 'row',
    events: [leaf.ben, leaf.benGone],
    context: [leaf.created, leaf.defined, leaf.anna],
    signers: [signer],
    state: [world.prove(2)],
  }),
);

describe.skipIf(executablePath === undefined)('the page', () => {
  let browser: Browser;
  let page: Page;
  let directory: string;
  let file: string;
  const requests: string[] = [];
  const troubles: string[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'verity-page-'));
    file = join(directory, 'verify.html');
    writeFileSync(file, readFileSync(join(root, 'dist/page/verify.html')));
    browser = await chromium.launch({
      executablePath: executablePath as string,
      args: ['--no-sandbox'],
    });
    page = await (await browser.newContext({ offline: true })).newPage();
    page.on('request', (request) => requests.push(request.url()));
    page.on('pageerror', (error) => troubles.push(error.message));
    page.on('console', (message) => troubles.push(message.text()));
    await page.goto(pathToFileURL(file).href);
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** What the page says of a receipt that is pasted. */
  async function resultOf(text: string, key: string, witnesses = ''): Promise<string> {
    await page.fill('#keys', key);
    await page.evaluate("document.querySelector('details').open = true");
    await page.fill('#witnesses', witnesses);
    await page.fill('#receipt', text);
    return page.innerText('#result');
  }

  test('shows by column names what a receipt that is pasted proves', async () => {
    const shown = await resultOf(receipt, signer.text);
    expect(shown).toContain('This receipt holds.');
    for (const part of [
      'position 5 of tenant “clinic” in the log clinic.example',
      'dr. jones',
      'married',
      'Updated in “patients”: id = 1',
      'Anna Maria',
      'Anna\t',
      '61.5',
      'NULL',
      signer.text,
    ])
      expect(shown).toContain(part);
    expect(await page.locator('#result section.good').count()).toBe(1);
    // A line end that pasting adds is not the receipt's.
    expect(await resultOf(`${receipt}\n`, signer.text)).toContain('This receipt holds.');
    expect(await resultOf(history, signer.text)).toContain(
      'That nothing was written and deleted again behind the last change is not proved.',
    );
  });

  test('says which check a tampered receipt fails', async () => {
    const event = receipt.indexOf('"event":"', receipt.indexOf('"events"')) + 40;
    const other = receipt[event] === 'A' ? 'B' : 'A';
    const tampered = receipt.slice(0, event) + other + receipt.slice(event + 1);
    const shown = await resultOf(tampered, signer.text);
    expect(shown).toContain('This receipt does not hold.');
    expect(shown).toContain('The check that failed: inclusion');
    expect(shown).not.toContain('Anna');
    expect(await page.locator('#result section.bad').count()).toBe(1);
    expect(await resultOf(`${receipt} x`, signer.text)).toContain('failed: format');
  });

  test('refuses a wrong key, another log’s and one that is none', async () => {
    const wrong = new Signer('clinic.example', 99);
    expect(await resultOf(receipt, wrong.text)).toContain('failed: signature');
    expect(await resultOf(receipt, new Signer('other.example', 1).text)).toContain(
      'failed: origin',
    );
    expect(await resultOf(receipt, 'clinic.example')).toContain('failed: options');
    expect(await resultOf(receipt, '')).toBe('');
  });

  test('asks for witnesses where it is given some', async () => {
    expect(await resultOf(receipt, signer.text, witness.text)).toContain('Witnessed by');
    const stranger = new Signer('stranger.example', 32, 4);
    expect(await resultOf(receipt, signer.text, stranger.text)).toContain('failed: witnesses');
  });

  test('takes a file that is chosen or dropped, byte by byte', async () => {
    const path = join(directory, 'r.json');
    writeFileSync(path, receipt);
    await resultOf('', signer.text);
    await page.setInputFiles('#file', path);
    await page.waitForSelector('#result section.good');
    writeFileSync(path, `${receipt}\n`);
    await page.setInputFiles('#file', path);
    await page.waitForSelector('#result section.bad');
    // As text, since these are the names of a browser.
    await page.evaluate(`{
      const data = new DataTransfer();
      data.items.add(new File([${JSON.stringify(receipt)}], 'dropped.json'));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }));
    }`);
    await page.waitForSelector('#result section.good');
    expect(await page.innerText('#name')).toContain('dropped.json');
  });

  test('shows text of a receipt as text', async () => {
    const markup = clinicWorld({ origin: '<img/src=x>' });
    const made = formatReceipt(
      markup.log.receipt({
        kind: 'position',
        events: [leaf.benGone],
        context: [leaf.defined],
        signers: [markup.signer],
      }),
    );
    expect(await resultOf(made, markup.signer.text)).toContain('<img/src=x>');
    expect(await page.locator('img').count()).toBe(0);
  });

  test('asks for nothing, and could not', async () => {
    expect(requests).toEqual([pathToFileURL(file).href]);
    const text = readFileSync(file, 'utf8');
    expect(text).not.toMatch(/%policy%|<!--/);
    const policy = /Content-Security-Policy"\s+content="([^"]+)"/.exec(text)?.[1] ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    const refused = await page.evaluate(
      "fetch('data:text/plain,x').then(() => 'fetched', () => 'refused')",
    );
    expect(refused).toBe('refused');
    expect(troubles.filter((trouble) => !trouble.includes('data:text/plain'))).toEqual([]);
  });
});
