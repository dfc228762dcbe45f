/** The keyring's file and its records in the log are at most one generation apart, whatever fails between them. */
import { expect, test } from 'vitest';
import { type Disk, type DiskFile, VerityError } from '../../src/base/index.ts';
import { Verity } from '../../src/database/index.ts';
import { memoryDisk } from '../../src/host/index.ts';
import { type DiskImage, diskOf, imageOf, readFile } from './disk-image.ts';
import { hostOn, TestKey } from './sample-database.ts';

const masterKey = new TestKey();
const logSizes = { segmentBytes: 1 << 20, fillBytesMin: 64, fillBytesMax: 64 };

const generationOf = (keyring: Uint8Array): number =>
  Number(new DataView(keyring.buffer, keyring.byteOffset).getBigUint64(24, true));

/** A disk whose log has no room while `isFull` says so; other files are written as ever. */
function fillable(disk: Disk, isFull: () => boolean): Disk {
  const open: Disk['open'] = (path, mode) => {
    const file = disk.open(path, mode);
    if (!path.startsWith('log/')) return file;
    return new Proxy(file, {
      get(target, name) {
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== 'function') return value;
        if (name !== 'write') return value.bind(target);
        return (...given: Parameters<DiskFile['write']>) => {
          if (isFull()) throw new VerityError('DISK_FULL', 'There is no space left.');
          target.write(...given);
        };
      },
    });
  };
  return new Proxy(disk, {
    get(target, name) {
      if (name === 'open') return open;
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

test('frames that are refused one after the other, each with a tenant that needs keys, leave the file one ahead', async () => {
  const disk = memoryDisk();
  let isFull = false;
  const host = { ...hostOn(fillable(disk, () => isFull)), logSizes };
  const db = await Verity.openOn(host, { masterKey });
  const tenants = [];
  for (let number = 0; number < 6; number++) tenants.push(await db.createTenant(`t${number}`));
  const logged = generationOf(readFile(disk, 'keyring'));
  isFull = true;
  for (const tenant of tenants.slice(0, 5)) {
    await expect(tenant.execute('CREATE TABLE t (id integer PRIMARY KEY)')).rejects.toMatchObject({
      code: 'DISK_FULL',
    });
    expect(generationOf(readFile(disk, 'keyring'))).toBe(logged + 1);
  }
  isFull = false;
  // What a crash would leave now opens.
  const left = await Verity.openOn(hostOn(diskOf(imageOf(disk))), { masterKey });
  expect((await left.verify()).findings).toEqual([]);
  await left.close();
  // The next frame takes the record along.
  await tenants[5]?.execute('CREATE TABLE t (id integer PRIMARY KEY)');
  await db.addRecoveryCode();
  expect(generationOf(readFile(disk, 'keyring'))).toBe(logged + 2);
  await db.close();
  await (await Verity.openOn(hostOn(disk), { masterKey })).close();
});

test('tenants that write for the first time at once, frame behind frame, all find their keys again', async () => {
  const disk = memoryDisk();
  const db = await Verity.openOn(hostOn(disk), { masterKey });
  const create = async (number: number): Promise<void> => {
    const tenant = await db.createTenant(`t${number}`);
    await tenant.execute('CREATE TABLE t (id integer PRIMARY KEY)');
    await tenant.execute('INSERT INTO t VALUES ($1)', [number]);
  };
  const images: DiskImage[] = [];
  const all = Promise.all(Array.from({ length: 100 }, (_, number) => create(number)));
  const stop = setInterval(() => images.push(imageOf(disk)), 1);
  await all;
  clearInterval(stop);
  await db.close();
  for (const image of [...images.slice(0, 5), imageOf(disk)]) {
    const again = await Verity.openOn(hostOn(diskOf(image)), { masterKey });
    expect((await again.verify()).findings).toEqual([]);
    await again.close();
  }
});

test('a keyring one ahead of the log is what a crash leaves; two ahead, the end of the log is missing', async () => {
  const disk = memoryDisk();
  const db = await Verity.openOn(hostOn(disk), { masterKey });
  await db.createTenant('acme');
  const keyrings: Uint8Array[] = [];
  const before = imageOf(disk);
  for (let times = 0; times < 2; times++) {
    await db.addRecoveryCode();
    keyrings.push(readFile(disk, 'keyring'));
  }
  await db.close();
  const [one, two] = keyrings.map((keyring) => diskOf(new Map([...before, ['keyring', keyring]])));
  const opened = await Verity.openOn(hostOn(one as Disk), { masterKey });
  expect(opened.status().keySlots).toHaveLength(2);
  await opened.close();
  await expect(Verity.openOn(hostOn(two as Disk), { masterKey })).rejects.toMatchObject({
    code: 'MISSING_DATA',
    details: { file: 'keyring', offset: 24 },
  });
});
