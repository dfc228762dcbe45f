import { expect, test } from 'vitest';
import { append, engineWorld, openEngineOn } from '../../test/support/engine-world.ts';
import { SimDisk, SimScheduler } from '../sim/index.ts';
import { readAnchor } from './anchor.ts';

test('an open after an unclean close names the newest frame in both slots of the anchor', async () => {
  const scheduler = new SimScheduler();
  const here = await engineWorld(new SimDisk({ seed: 1, scheduler }), scheduler);
  await scheduler.settle(append(here));
  const { logId, op } = here.engine.head;
  const found = SimDisk.fromImage(here.disk.image(), { scheduler });
  expect(readAnchor(found, logId, undefined).newest.op).toBeLessThan(op);
  await openEngineOn(found, scheduler);
  const image = found.image().get('anchor') ?? new Uint8Array();
  for (const slot of [0, 512]) {
    const alone = image.slice();
    alone.fill(0, 512 - slot, 1024 - slot);
    const disk = SimDisk.fromImage(new Map([['anchor', alone]]));
    expect(readAnchor(disk, logId, undefined).newest.op).toBe(op);
  }
});
