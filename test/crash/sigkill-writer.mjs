/**
 * The process that test/crash/sigkill.test.ts kills. Arguments: the built package, a database's
 * directory, its key file, what to do: "write" batches until the end, once told to on standard
 * input, "open" for writing once, or "read" only; and the user to do it as. Prints "ready", then one
 * line for each acknowledged batch, each with one write.
 */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';

const [packagePath, directory, keyFile, task, user] = process.argv.slice(2);
const { Verity, keys } = await import(packagePath);
const writers = 6;
const rowsPerBatch = 5;

function say(line) {
  writeSync(1, `${line}\n`);
}

async function writeForEver(tenant, writer, run) {
  for (let number = 0; ; number++) {
    const batch = `${run}-${writer}-${number}`;
    const values = [];
    for (let row = 0; row < rowsPerBatch; row++) {
      values.push(`${batch}-${row}`, batch, 'x'.repeat((number * 97) % 900));
    }
    const groups = Array.from({ length: rowsPerBatch }, (_unused, row) => {
      return `($${row * 3 + 1}, $${row * 3 + 2}, $${row * 3 + 3})`;
    });
    const text = `INSERT INTO batches VALUES ${groups.join(', ')}`;
    if (number % 4 === 3) {
      await tenant.transaction(async (tx) => {
        await tx.execute(text, values);
        for (let row = 0; row < rowsPerBatch; row++) {
          await tx.execute('DELETE FROM batches WHERE id = $1', [
            `${run}-${writer}-${number - 1}-${row}`,
          ]);
        }
      });
      say(`moved ${batch} ${run}-${writer}-${number - 1}`);
    } else {
      const { position } = await tenant.execute(text, values);
      say(`added ${batch} ${position}`);
    }
  }
}

/** Goes on as another user, who need not find Node or the package: all that is loaded late is loaded first. */
async function become(id) {
  const path = join(dirname(directory), `loaded-by-${process.pid}`);
  const db = await Verity.open(path, { masterKey: keys.fromFile(keyFile) });
  const tenant = await db.createTenant('amber');
  await tenant.execute('CREATE TABLE loaded (id integer)');
  await db.close();
  process.setgroups([]);
  process.setgid(id);
  process.setuid(id);
}

if (user !== undefined) await become(Number(user));
if (task === 'write') await once(process.stdin, 'data');
try {
  const db = await Verity.open(directory, {
    masterKey: keys.fromFile(keyFile),
    readOnly: task === 'read',
  });
  const name = 'amber';
  const tenant = db.tenants().includes(name) ? db.tenant(name) : await db.createTenant(name);
  if (task === 'read') await tenant.query('SELECT count(*) FROM batches');
  else
    await tenant.execute(
      'CREATE TABLE IF NOT EXISTS batches (id text PRIMARY KEY, batch text NOT NULL, memo text)',
    );
  say('ready');
  const run = String(db.status().position);
  if (task === 'write') {
    await Promise.all(
      Array.from({ length: writers }, (_unused, writer) => writeForEver(tenant, writer, run)),
    );
  }
  await db.close();
} catch (error) {
  say(`failed ${error.code ?? error}`);
  process.exitCode = 1;
}
