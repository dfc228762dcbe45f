/** `veritydb/verify` for any runtime: bundled it imports nothing, and it runs where there is nothing of Node's. */
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { buildSync } from 'esbuild';
import { expect, test } from 'vitest';
import { Verity } from '../../src/database/index.ts';
import { root } from '../support/project.ts';

const bundled = buildSync({
  entryPoints: [join(root, 'dist/receipt/index.js')],
  bundle: true,
  write: false,
  metafile: true,
  format: 'iife',
  globalName: 'verify',
  platform: 'neutral',
});

test('it imports nothing but its own files and its two packages', () => {
  const inputs = Object.keys(bundled.metafile.inputs);
  const packages = inputs.flatMap(
    (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [],
  );
  expect([...new Set(packages)].toSorted()).toEqual(['@noble/curves', '@noble/hashes']);
  const [output] = Object.values(bundled.metafile.outputs);
  expect(output?.imports).toEqual([]);
});

test('it checks a receipt with the language and text encoding alone', async () => {
  const db = await Verity.open(':memory:');
  const clinic = await db.createTenant('clinic');
  const { position } = await clinic.execute('CREATE TABLE t (id integer PRIMARY KEY)');
  const receipt = await clinic.receipt(position);
  const { vkey } = db.keys.exportPublic();
  await db.close();
  const context = createContext({ TextDecoder, TextEncoder, receipt, vkey });
  runInContext(bundled.outputFiles[0]?.text ?? '', context);
  const check = (text: string): unknown =>
    runInContext(`JSON.stringify(verify.verifyReceipt(${text}, { keys: [vkey] }))`, context);
  expect(JSON.parse(String(check('receipt')))).toMatchObject({ ok: true });
  expect(JSON.parse(String(check('receipt + " "')))).toMatchObject({ ok: false, check: 'format' });
});
