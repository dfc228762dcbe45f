import type { Clock, Scheduler } from '../base/index.ts';
import type { SectionKey } from '../crypto/index.ts';

/** How many derived keys are kept, and for how long. */
export interface KeyCacheBounds {
  readonly keysMax: number;
  readonly ageMsMax: number;
}

export const defaultKeyCacheBounds: KeyCacheBounds = { keysMax: 16_384, ageMsMax: 3_600_000 };

/** What tells how old a key is. Without one, as where a hierarchy lives for one call, keys do not age. */
export interface KeyCacheTime {
  readonly clock: Clock;
  /** Wipes keys of an idle process, too. */
  readonly scheduler: Scheduler;
}

const microsPerMilli = 1_000;

interface Kept {
  readonly key: SectionKey;
  readonly madeAtMicros: number;
}

/**
 * Derived keys by name. The one that was made first goes first, when there are too many or it is too old; keys that
 * go are wiped, so a caller uses a key at once and does not keep it.
 */
export class KeyCache<Name> {
  readonly #bounds: KeyCacheBounds;
  readonly #time: KeyCacheTime | undefined;
  /** In the order in which they were made. */
  readonly #kept = new Map<Name, Kept>();
  #cancelSweep: (() => void) | undefined;

  constructor(bounds: KeyCacheBounds, time?: KeyCacheTime) {
    this.#bounds = bounds;
    this.#time = time;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** The key of this name, which stays the cache's; made now if it is not kept. Undefined if `make` makes none. */
  get(name: Name, make: () => SectionKey | undefined): SectionKey | undefined {
    const now = this.#now();
    const known = this.#kept.get(name);
    if (known !== undefined && !this.#isOld(known, now)) return known.key;
    const key = make();
    if (key === undefined) return undefined;
    this.#drop(name);
    this.#sweep(now);
    if (this.#kept.size >= this.#bounds.keysMax) this.#drop(this.#oldest()?.[0] as Name);
    this.#kept.set(name, { key, madeAtMicros: now });
    this.#arm();
    return key;
  }

  wipe(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    for (const { key } of this.#kept.values()) key.wipe();
    this.#kept.clear();
  }

  /** A clock that was set back says nothing of a key's age: such a key is old. */
  #isOld({ madeAtMicros }: Kept, now: number): boolean {
    const age = now - madeAtMicros;
    return age < 0 || age >= this.#bounds.ageMsMax * microsPerMilli;
  }

  #sweep(now: number): void {
    for (let first = this.#oldest(); first !== undefined; first = this.#oldest()) {
      if (!this.#isOld(first[1], now)) return;
      this.#drop(first[0]);
    }
  }

  #arm(): void {
    if (this.#time === undefined || this.#cancelSweep !== undefined) return;
    this.#cancelSweep = this.#time.scheduler.delay(this.#bounds.ageMsMax, () => {
      this.#cancelSweep = undefined;
      this.#sweep(this.#now());
      if (this.#kept.size > 0) this.#arm();
    });
  }

  #now(): number {
    return this.#time?.clock.now() ?? 0;
  }

  #oldest(): [Name, Kept] | undefined {
    return this.#kept.entries().next().value;
  }

  #drop(name: Name): void {
    this.#kept.get(name)?.key.wipe();
    this.#kept.delete(name);
  }
}
