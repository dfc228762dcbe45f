/** The settings of witnesses, as they stand in the log: read strictly, since another program may have written them. */
import { VerityError } from '../base/index.ts';
import { rollbackSetting } from '../engine/index.ts';
import { formatVkey } from '../proof/index.ts';
import { type WitnessAddress, witnessKeyOf } from '../witness/index.ts';
import type { AttestedLog } from './attested-log.ts';

const witnessesSetting = 'witnesses';
export const quorumSetting = 'quorum';
const witnessesMax = 16;

export interface WitnessPolicy {
  /** How many witnesses must have cosigned, and must answer when the database is opened for writing. */
  readonly required: number;
  /** Whether the database is not opened when fewer answer; else that is a warning. */
  readonly strict: boolean;
}

/** A state of the log that a witness has, and the database no longer: somebody decided to go on without it. */
export interface AcceptedRollback {
  readonly witness: string;
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** Leaves that the log had when that was accepted. */
  readonly leaves: number;
}

/** Throws INVALID_ARGUMENT unless `url` is http: or https: without credentials. */
export function checkedUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const known = parsed?.protocol === 'http:' || parsed?.protocol === 'https:';
  if (parsed === undefined || !known || parsed.username !== '' || parsed.password !== '') {
    throw new VerityError(
      'INVALID_ARGUMENT',
      `"${url.slice(0, 200)}" is not a URL that begins with http:// or https:// and has no password in it.`,
    );
  }
  return url;
}

export function witnessesOf(log: AttestedLog): WitnessAddress[] {
  const stored = log.setting(witnessesSetting) ?? [];
  return (stored as { url: string; vkey: string }[]).map(({ url, vkey }) => ({
    url: checkedUrl(url),
    vkey: witnessKeyOf(vkey),
  }));
}

export async function storeWitnesses(
  log: AttestedLog,
  witnesses: readonly WitnessAddress[],
): Promise<void> {
  if (witnesses.length > witnessesMax) {
    throw new VerityError('INVALID_ARGUMENT', `A database has at most ${witnessesMax} witnesses.`);
  }
  const stored = witnesses.map(({ url, vkey }) => ({ url, vkey: formatVkey(vkey) }));
  await log.changeSetting(witnessesSetting, stored);
}

export function policyOf(log: AttestedLog): WitnessPolicy {
  const stored = (log.setting(quorumSetting) ?? {}) as Partial<WitnessPolicy>;
  return { required: stored.required ?? 0, strict: stored.strict ?? false };
}

export function acceptedRollbacks(log: AttestedLog): readonly AcceptedRollback[] {
  return (log.setting(rollbackSetting) ?? []) as AcceptedRollback[];
}
