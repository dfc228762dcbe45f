/** Holds one image of a crash against what the client knew: it opens, lost nothing, verifies, and goes on. */
import { keys } from '../../src/database/index.ts';
import { SimDisk } from '../../src/sim/index.ts';
import { checkRecovered, type Checked, nothingChecked, Violation } from './checker.ts';
import type { Client } from './client.ts';
import type { Image } from './image.ts';
import { openSession, type Session } from './machine.ts';

export interface ImageCounts extends Checked {
  /** Opened. */
  images: number;
  /** Byte for byte another one of the same moment: not opened again. */
  alike: number;
  /** Checked in full: opening did not leave the same bytes as that of an image before it. */
  checked: number;
  tornTails: number;
  /** Written on, closed and opened once more. */
  goneOn: number;
}

export function noImages(): ImageCounts {
  return { ...nothingChecked(), images: 0, alike: 0, checked: 0, tornTails: 0, goneOn: 0 };
}

export interface ImageCheck {
  readonly counts: ImageCounts;
  /** Also write, close, and find all of it again. */
  readonly goOn: boolean;
  /** Whether what opening left on the disk was checked before. */
  readonly isKnown: (disk: SimDisk) => boolean;
}

/**
 * Opens the image as its owner, checks every answer that `known` has against it, and verifies it.
 * Throws Violation, or what opening throws.
 */
export async function checkImage(image: Image, known: Client, check: ImageCheck): Promise<void> {
  const { counts, goOn } = check;
  const disk = SimDisk.fromImage(image);
  // A recovery code costs more than a key that is at hand.
  const code = goOn ? known.recoveryCodes.at(-1) : undefined;
  const session = await openSession(disk, {
    seed: 5,
    ...(code !== undefined && { masterKey: keys.fromRecoveryCode(code) }),
  });
  counts.images += 1;
  counts.tornTails += session.db.status().recovery.cut.length;
  if (!check.isKnown(disk)) {
    await session.scheduler.settle(checkRecovered(session.db, known, counts));
    await verified(session);
    counts.checked += 1;
  }
  if (goOn) {
    await workOn(session, known);
    const again = await openSession(disk, { seed: 6 });
    if (!again.db.status().recovery.cleanShutdown) throw new Violation('the close was not clean');
    await again.scheduler.settle(checkRecovered(again.db, known));
    again.disk.kill();
    counts.goneOn += 1;
  }
  session.disk.kill();
}

async function verified({ db, scheduler }: Session): Promise<void> {
  const report = await scheduler.settle(db.verify());
  if (!report.ok) throw new Violation(`verify: ${report.findings[0]?.message ?? 'not ok'}`);
}

async function workOn(session: Session, known: Client): Promise<void> {
  const { db, scheduler } = session;
  known.connect(session);
  const name = db.tenants()[0] ?? 'amber';
  const work = async (): Promise<void> => {
    await known.createTenant(name);
    known.send(name, { kind: 'append', stream: 'after', events: [1] });
    await known.settled();
    await db.close();
  };
  await scheduler.settle(work());
  const [sent] = known.attempts.slice(-1);
  if (sent?.reply?.kind !== 'done') throw new Violation('a command after the recovery was refused');
}
