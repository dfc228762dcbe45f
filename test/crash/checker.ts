/** The simulator's checkers, with counts of what they looked at. */
import type { Verity } from '../../src/database/index.ts';
import {
  checkRecovered as check,
  type Client,
  Tally,
  Violation as SimulatedViolation,
} from '../../src/sim/index.ts';
import type { Session } from './machine.ts';

export class Violation extends SimulatedViolation {
  constructor(message: string) {
    super('crash', message);
  }
}

/** What a check looked at; one that looked at nothing proves nothing. */
export interface Checked {
  acknowledged: number;
  answersWithoutChange: number;
  unknownThere: number;
  unknownAbsent: number;
}

export function nothingChecked(): Checked {
  return { acknowledged: 0, answersWithoutChange: 0, unknownThere: 0, unknownAbsent: 0 };
}

/** Checks every tenant; adds what was looked at to `checked`. Throws the simulator's Violation. */
export async function checkRecovered(
  db: Verity,
  client: Client<Session>,
  checked: Checked = nothingChecked(),
): Promise<void> {
  const checks = new Tally();
  await check(db, client, checks);
  checked.acknowledged += checks.of('no loss');
  checked.answersWithoutChange += checks.of('answers without change');
  checked.unknownThere += checks.of('unknown and there');
  checked.unknownAbsent += checks.of('unknown and absent');
}
