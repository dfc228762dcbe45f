export { SimulatedCrash, type CallKind, type SimFaults } from './faults.ts';
export { SimClock } from './clock.ts';
export { ramDisk, SimDisk, type SimDiskOptions } from './disk.ts';
export { SimScheduler } from './scheduler.ts';
