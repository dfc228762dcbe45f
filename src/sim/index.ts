export { SimulatedCrash, type CallKind, type SimFaults } from './faults.ts';
export { SimClock } from './clock.ts';
export { ramDisk, SimDisk, type SimDiskOptions } from './disk.ts';
export { SimScheduler } from './scheduler.ts';
export {
  type Failure,
  ProcessDisk,
  ProcessGone,
  type ProcessOptions,
  SimProcess,
} from './process.ts';
export { SimMachine } from './machine.ts';
export { Tally } from './tally.ts';
export { Violation } from './violation.ts';
export { type RunsReport, RunsSummary } from './report.ts';
export { runSeed, type SeedOptions, type SimulationResult } from './run.ts';
export { type FoundRun, shrink } from './shrink.ts';
export type { World, WorldContext, WorldKind } from './world.ts';
export { checkRecovered } from './database/checker.ts';
export { type Attempt, Client, type ClientSession, codeOf } from './database/client.ts';
export type {
  DatabaseUnderTest,
  OpenDatabase,
  RepairDatabase,
  SimDatabase,
  SimTenant,
} from './database/contract.ts';
export { databaseWorld, type DatabaseWorldKind } from './database/kind.ts';
export type { DatabaseEvent } from './database/events.ts';
export type { Account, Spec } from './database/model.ts';
