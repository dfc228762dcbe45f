import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { keys, type OpenOptions, type TenantHandle, Verity } from 'veritydb';
import { createTable } from './rows.ts';

/** On the disk that holds the project: a system's folder for temporary files may be memory, where a flush is free. */
const defaultFolder = fileURLToPath(
  new URL('../node_modules/.cache/veritydb-bench', import.meta.url),
);

/** A folder of its own for one group of benches, removed by `remove`. */
export class Place {
  readonly folder: string;

  constructor() {
    const parent = process.env['VERITY_BENCH_DIR'] ?? defaultFolder;
    mkdirSync(parent, { recursive: true });
    this.folder = mkdtempSync(join(parent, 'run-'));
  }

  /** A new database, encrypted unless the options say otherwise. */
  async open(name: string, options: OpenOptions = {}): Promise<Verity> {
    if (options.encryption === 'none') return Verity.open(join(this.folder, name), options);
    const keyFile = join(this.folder, `${name}.key`);
    await keys.generateFile(keyFile);
    return Verity.open(join(this.folder, name), { masterKey: keys.fromFile(keyFile), ...options });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** New tenants, each with the table of rows.ts. */
export async function makeTenants(db: Verity, count: number): Promise<TenantHandle[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const tenant = await db.createTenant(`tenant-${index}`);
      await tenant.execute(createTable);
      return tenant;
    }),
  );
}
