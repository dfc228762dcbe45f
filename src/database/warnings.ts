import { emitWarning } from 'node:process';
import type { OpenOptions } from './types.ts';

/** Hands a warning to `onWarning`; without it, it is a warning of the process. */
export function warnWith(onWarning: OpenOptions['onWarning'], message: string, code: string): void {
  if (onWarning !== undefined) onWarning(message);
  else emitWarning(message, { type: 'VerityWarning', code });
}
