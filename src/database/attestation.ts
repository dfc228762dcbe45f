/** Puts witnesses and time stamps of an open database together: they are told of each checkpoint, and keep what they answer. */
import { VerityError } from '../base/index.ts';
import type { Engine, EngineHost } from '../engine/index.ts';
import type { AttestedLog } from './attested-log.ts';
import { checkAgainstWitnesses } from './rollback-check.ts';
import { TimeStamps } from './timestamps.ts';
import type { OpenOptions } from './types.ts';
import { warnWith } from './warnings.ts';
import { Witnesses } from './witnesses.ts';

export interface AttestationParts {
  readonly engine: Engine;
  readonly host: EngineHost;
  readonly options: Pick<OpenOptions, 'onWarning' | 'acceptRollback'>;
}

export class Attestation {
  readonly witnesses: Witnesses;
  readonly timestamps: TimeStamps;
  readonly #parts: AttestationParts;

  constructor(parts: AttestationParts) {
    const { engine, host } = parts;
    this.#parts = parts;
    const log = attestedLog(engine);
    const common = {
      log,
      scheduler: host.scheduler,
      onTrouble: (error: VerityError) => this.#tell(error),
      checkWritable: () => checkWritable(engine),
    };
    this.witnesses = new Witnesses(common);
    const now = (): number => host.clock.now() / 1000;
    this.timestamps = new TimeStamps({
      ...common,
      file: engine.timeStamps,
      now,
    });
  }

  /** Lets checkpoints be signed, and shows them to witnesses and authorities. After `compareWithWitnesses`. */
  begin(): void {
    const { engine } = this.#parts;
    if (engine.readOnly) return;
    this.witnesses.start();
    engine.proofs.onCheckpoint = (signed) => {
      this.witnesses.send(signed);
      this.timestamps.send(signed);
    };
    engine.proofs.start();
  }

  /** Ends what is under way. */
  stop(): void {
    this.#parts.engine.proofs.onCheckpoint = undefined;
    this.witnesses.stop();
    this.timestamps.stop();
  }

  #tell(error: VerityError): void {
    if (error.code === 'LOG_ROLLED_BACK') this.#parts.engine.hierarchy.security.observe(error);
    else warnWith(this.#parts.options.onWarning, error.message, 'VERITY_WITNESS');
  }
}

/** Compares the log with what its witnesses have seen. Throws LOG_ROLLED_BACK, and WITNESS_UNAVAILABLE under a strict policy. */
export async function compareWithWitnesses(
  engine: Engine,
  { acceptRollback, onWarning }: AttestationParts['options'],
): Promise<void> {
  await checkAgainstWitnesses(attestedLog(engine), {
    acceptRollback: acceptRollback === true,
    warn: (warning) => warnWith(onWarning, warning, 'VERITY_WITNESS'),
  });
}

function checkWritable(engine: Engine): void {
  engine.checkOpen();
  if (!engine.readOnly) return;
  throw new VerityError(
    'READ_ONLY',
    'This handle only reads. Open the database for writing to ask witnesses and authorities.',
  );
}

function attestedLog(engine: Engine): AttestedLog {
  const { proofs } = engine;
  return {
    origin: proofs.origin,
    get vkeys() {
      return proofs.vkeys;
    },
    get size() {
      return engine.head.leafCount;
    },
    get newest() {
      engine.catchUp();
      return proofs.newest;
    },
    all: () => proofs.all(),
    checkpoint: () => proofs.checkpoint(),
    async root(size) {
      await proofs.tree.catchUp();
      return proofs.tree.root(size);
    },
    async consistencyProof(from, to) {
      await proofs.tree.catchUp();
      return proofs.tree.consistencyProof(from, to);
    },
    amend: (size, signatures) => proofs.amend(size, signatures),
    setting(name) {
      engine.catchUp();
      return engine.setting(name);
    },
    async changeSetting(name, value) {
      await engine.changeSetting(name, value);
    },
  };
}
