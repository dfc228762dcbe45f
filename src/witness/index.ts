export type { RequestTimes } from './answers.ts';
export {
  cosignedCheckpoint,
  type ShownCheckpoint,
  submitCheckpoint,
  type Submission,
  type SubmissionResult,
  type WitnessAddress,
} from './client.ts';
export { startWitness, type WitnessServer } from './server.ts';
export {
  createWitnessKey,
  logKeyOf,
  readWitnessKey,
  type WitnessKey,
  witnessKeyOf,
} from './witness-key.ts';
export { WitnessStore } from './witness-store.ts';
export { type Authority, requestTimeStamp } from './timestamp-client.ts';
export { readTrusted, type TimeStamp, verifyTimeStamp } from './timestamp-verify.ts';
