import type { Scheduler } from '../base/index.ts';

/** Called between pieces of work: other work gets its turn now and then. `cost`: bytes gone through. */
export type Pause = (cost: number) => Promise<void> | undefined;

/** What is done at a stretch: about two milliseconds, and each piece counts for something. */
const stretchCost = 2 << 20;
const pieceCost = 4_096;

/** Pauses that leave the event loop to others; none without a scheduler. */
export function pausing(scheduler: Scheduler | undefined): Pause {
  let spent = 0;
  return (cost) => {
    spent += cost + pieceCost;
    if (scheduler === undefined || spent < stretchCost) return undefined;
    spent = 0;
    return new Promise((resolve) => scheduler.defer(resolve));
  };
}
