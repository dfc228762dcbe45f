/** The witnesses of a database: who they are, what they have cosigned, and how many of them must have. */
import { type Scheduler, VerityError } from '../base/index.ts';
import { formatVkey, parseCosignature, parseNote } from '../proof/index.ts';
import { type WitnessAddress, witnessKeyOf } from '../witness/index.ts';
import type { AttestedLog } from './attested-log.ts';
import { WitnessCourier } from './witness-courier.ts';
import {
  checkedUrl,
  policyOf,
  quorumSetting,
  storeWitnesses,
  type WitnessPolicy,
  witnessesOf,
} from './witness-settings.ts';

export interface WitnessStatus {
  readonly name: string;
  readonly url: string;
  readonly vkey: string;
  /** Its cosignature on the newest checkpoint: when it was made, as the witness says. */
  readonly cosigned: Date | undefined;
  /** Why the last attempt of this handle to get one failed. */
  readonly failure: string | undefined;
}

export interface CosignReport {
  /** Events under the checkpoint. */
  readonly size: bigint;
  /** The signed note, with the cosignatures. */
  readonly note: string;
  readonly witnesses: readonly WitnessStatus[];
  /** Witnesses that have cosigned it, and how many must have. */
  readonly cosigned: number;
  readonly required: number;
}

export interface WitnessesParts {
  readonly log: AttestedLog;
  readonly scheduler: Scheduler;
  readonly onTrouble: (error: VerityError) => void;
  /** Throws when the database is closed, or only read. */
  readonly checkWritable: () => void;
}

const cosignMs = 10_000;

/** What `db.witnesses` gives. */
export type DatabaseWitnesses = Pick<
  Witnesses,
  'add' | 'cosign' | 'list' | 'policy' | 'remove' | 'setPolicy'
>;

/** Names and asks the witnesses of an open database. */
export class Witnesses {
  readonly #parts: WitnessesParts;
  #couriers: WitnessCourier[] = [];
  /** Callers of `cosign` whose checkpoint is being made: it is sent by them. */
  #cosigning = 0;

  constructor(parts: WitnessesParts) {
    this.#parts = parts;
  }

  /** The witnesses, in the order in which they were added. */
  list(): WitnessStatus[] {
    const { log } = this.#parts;
    const note = log.newest?.note;
    const signatures = note === undefined ? [] : parseNote(note).signatures;
    return witnessesOf(log).map(({ url, vkey }) => {
      const own = signatures.find(({ name, id }) => name === vkey.name && id === vkey.id);
      const time = own === undefined ? undefined : parseCosignature(own.signature)?.time;
      const last = this.#couriers.find(({ witness }) => witness.vkey.id === vkey.id)?.last;
      return {
        name: vkey.name,
        url,
        vkey: formatVkey(vkey),
        cosigned: time === undefined ? undefined : new Date(time * 1000),
        failure: last?.outcome === 'failed' ? last.error.message : undefined,
      };
    });
  }

  /**
   * Adds a witness: checkpoints are sent to `url`/add-checkpoint from now on, and its cosignatures checked with `vkey`. The witness must
   * know the database's verifier key. Throws VKEY_INVALID, and INVALID_ARGUMENT for a URL that is none and a witness that is there.
   */
  async add(url: string, vkey: string): Promise<void> {
    this.#parts.checkWritable();
    const witness = { url: checkedUrl(url), vkey: witnessKeyOf(vkey) };
    const present = witnessesOf(this.#parts.log);
    if (present.some((one) => one.vkey.name === witness.vkey.name)) {
      throw new VerityError(
        'INVALID_ARGUMENT',
        `There is a witness "${witness.vkey.name}" already. Remove it first.`,
      );
    }
    await storeWitnesses(this.#parts.log, [...present, witness]);
    this.start();
  }

  /** Removes the witness of this name. Throws INVALID_ARGUMENT when there is none, or the policy needs it. */
  async remove(name: string): Promise<void> {
    this.#parts.checkWritable();
    const { log } = this.#parts;
    const present = witnessesOf(log);
    const kept = present.filter(({ vkey }) => vkey.name !== name);
    if (kept.length === present.length) {
      throw new VerityError('INVALID_ARGUMENT', `There is no witness "${name}".`);
    }
    checkQuorum(policyOf(log).required, kept.length);
    await storeWitnesses(log, kept);
    this.start();
  }

  /** How many witnesses must have cosigned, and what happens at open when fewer answer. */
  get policy(): WitnessPolicy {
    return policyOf(this.#parts.log);
  }

  /** Changes the policy. Throws INVALID_ARGUMENT for a quorum of more witnesses than there are. */
  async setPolicy(policy: Partial<WitnessPolicy>): Promise<void> {
    this.#parts.checkWritable();
    const { log } = this.#parts;
    const { required, strict } = { ...policyOf(log), ...policy };
    checkQuorum(required, witnessesOf(log).length);
    await log.changeSetting(quorumSetting, { required, strict });
  }

  /**
   * Signs a checkpoint of what is committed, asks every witness to cosign it, and resolves when all have answered or `timeoutMs`
   * (default 10,000, for each request) is over. It does not throw when witnesses fail: the report says which, and whether there are enough.
   */
  async cosign(options: { readonly timeoutMs?: number } = {}): Promise<CosignReport> {
    this.#parts.checkWritable();
    const { log } = this.#parts;
    this.#cosigning++;
    const { size, note } = await log.checkpoint().finally(() => this.#cosigning--);
    const times = { timeoutMs: options.timeoutMs ?? cosignMs };
    await Promise.all(this.#couriers.map((courier) => courier.deliver({ size, note }, times)));
    const witnesses = this.list();
    const newest = log.newest?.size === size ? log.newest.note : note;
    const cosigned = witnesses.filter((witness) => witness.cosigned !== undefined).length;
    return {
      size: BigInt(size),
      note: newest,
      witnesses,
      cosigned,
      required: policyOf(log).required,
    };
  }

  /** Begins to send checkpoints to the witnesses of the settings; again when they have changed. */
  start(): void {
    const wanted = witnessesOf(this.#parts.log);
    const isWanted = ({ witness }: WitnessCourier): boolean =>
      wanted.some((one) => isSame(one, witness));
    for (const courier of this.#couriers) if (!isWanted(courier)) courier.stop();
    const kept = this.#couriers.filter(isWanted);
    const fresh = wanted.filter((one) => !kept.some(({ witness }) => isSame(one, witness)));
    this.#couriers = [
      ...kept,
      ...fresh.map((witness) => new WitnessCourier({ ...this.#parts, witness })),
    ];
  }

  /** Has a new checkpoint cosigned, in the background. */
  send(signed: { readonly note: string; readonly size: number }): void {
    if (this.#cosigning > 0) return;
    for (const courier of this.#couriers) courier.send(signed);
  }

  stop(): void {
    for (const courier of this.#couriers) courier.stop();
    this.#couriers = [];
  }
}

function isSame(left: WitnessAddress, right: WitnessAddress): boolean {
  return left.url === right.url && formatVkey(left.vkey) === formatVkey(right.vkey);
}

function checkQuorum(required: number, present: number): void {
  if (Number.isSafeInteger(required) && required >= 0 && required <= present) return;
  throw new VerityError(
    'INVALID_ARGUMENT',
    `A quorum of ${required} is not possible with ${present} witnesses. Add witnesses, or change the policy first.`,
  );
}
