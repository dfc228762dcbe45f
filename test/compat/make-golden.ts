/**
 * `npx tsx test/compat/make-golden.ts` writes the golden databases of the current revision that are not there yet,
 * and what is expected of them. A golden database is never written again: every later version must read it.
 *
 * `npx tsx test/compat/make-golden.ts --renew store,plain-store` writes these again: only before a version with them was
 * released.
 *
 * `npx tsx test/compat/make-golden.ts --writer` records only the digests of what this version writes. That is
 * right after a change that left the format as it was, e.g. of the order in which random bytes are drawn. A
 * change of the format takes a new revision and golden databases of its own.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { formatRevision } from '../../src/log/index.ts';
import { SimDisk } from '../../src/sim/index.ts';
import { contentsOf } from './golden-contents.ts';
import { digestsOf, packImage, pathOf, writeExpected } from './golden-file.ts';
import {
  accessTo,
  GoldenWorld,
  proofsOf,
  subjectsOf,
  variantNames,
  writeGolden,
} from './golden-load.ts';

const afterFlag = process.argv[process.argv.indexOf('--renew') + 1];
const renewed = process.argv.includes('--renew') ? (afterFlag ?? '').split(',') : [];

async function main(): Promise<void> {
  mkdirSync(pathOf(formatRevision, ''), { recursive: true });
  const writer: Record<string, Record<string, string>> = {};
  for (const variant of variantNames) {
    const image = await writeGolden(variant);
    writer[variant] = digestsOf(image);
    const golden = pathOf(formatRevision, `${variant}.golden`);
    const isThere = existsSync(golden) && !renewed.includes(variant);
    if (process.argv.includes('--writer') || isThere) continue;
    const world = new GoldenWorld(2);
    const db = await world.open(SimDisk.fromImage(image), { ...accessTo(variant), readOnly: true });
    const contents = await contentsOf(world, db);
    const { chainHash } = db.status();
    await world.settle(db.close());
    writeFileSync(golden, packImage(image));
    const subjects =
      variant === 'subjects'
        ? await subjectsOf(world, SimDisk.fromImage(image), accessTo(variant))
        : undefined;
    const proofs =
      variant === 'proofs'
        ? await proofsOf(world, SimDisk.fromImage(image), accessTo(variant))
        : undefined;
    const expected = { chainHash, contents, subjects, proofs };
    writeExpected(pathOf(formatRevision, `${variant}.expected`), expected);
    process.stdout.write(`${golden}: ${image.size} files\n`);
  }
  const recorded = { brotli: process.versions['brotli'], digests: writer };
  writeFileSync(
    pathOf(formatRevision, 'writer.json'),
    `${JSON.stringify(recorded, undefined, 2)}\n`,
  );
}

await main();
