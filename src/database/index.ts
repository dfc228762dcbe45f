/** The public door of VerityDB: `import { Verity, keys } from 'veritydb'`. */
import {
  fromAwsKms,
  fromAwsSecretsManager,
  fromEnv,
  fromFile,
  fromKeyPair,
  fromPassphrase,
  fromPkcs11,
  fromRecoveryCode,
  generateFile,
  generateKeyPair,
  generatePkcs11Key,
  publicKeyOf,
  readSecretText,
} from '../keys/index.ts';

export { CorruptionError, type ErrorCode, errorTable, limits, VerityError } from '../base/index.ts';
export { lockMemory } from './security.ts';
export { inspectStatement, ready, splitStatements } from './statements.ts';
export * from './audit-types.ts';
export * from './key-types.ts';
export type { DatabaseKeys } from './keys.ts';
export type { ExportOptions, ExportReport } from './export.ts';
export type { Checkpoint, ConsistencyProof, DatabaseProofs, InclusionProof } from './proofs.ts';
export * from './types.ts';
export type { DatabaseTimeStamps, TimeStampAuthority, TimeStampReport } from './timestamps.ts';
export { Verity } from './verity.ts';
export type { WitnessPolicy } from './witness-settings.ts';
export type { CosignReport, DatabaseWitnesses, WitnessStatus } from './witnesses.ts';

/** Ways to the master key. */
export const keys = {
  fromFile,
  fromEnv,
  fromPassphrase,
  fromKeyPair,
  fromAwsSecretsManager,
  fromAwsKms,
  fromPkcs11,
  fromRecoveryCode,
  generateFile,
  generateKeyPair,
  generatePkcs11Key,
  publicKeyOf,
  readSecretText,
};
