import type { Engine } from '../engine/index.ts';

/** What `action` returns. Damage of the store that it meets is named: whose table was read. */
export function naming<T>(engine: Engine, action: () => T): T {
  try {
    return action();
  } catch (error) {
    engine.nameDamage(error);
    throw error;
  }
}
