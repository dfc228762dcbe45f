/** The public door of VerityDB: `import { Verity, keys } from 'veritydb'`. */
import {
  fromEnv,
  fromFile,
  fromPassphrase,
  fromRecoveryCode,
  generateFile,
} from '../keys/index.ts';

export { CorruptionError, type ErrorCode, errorTable, limits, VerityError } from '../base/index.ts';
export { inspectStatement, ready, splitStatements } from './statements.ts';
export * from './types.ts';
export { Verity } from './verity.ts';

/** Ways to the master key. */
export const keys = { fromFile, fromEnv, fromPassphrase, fromRecoveryCode, generateFile };
