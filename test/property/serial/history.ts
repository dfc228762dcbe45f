/** What transactions did and saw, and whether some order of them explains it: the one they were committed in. */

/** Reads give what was seen: the value of a key, or how many of a group there are. */
export type Step =
  | { readonly kind: 'read'; readonly key: number; readonly seen: number | undefined }
  | { readonly kind: 'count'; readonly group: number; readonly seen: number }
  | { readonly kind: 'write'; readonly key: number; readonly value: number }
  | { readonly kind: 'remove'; readonly key: number };

export interface Committed {
  readonly name: string;
  /** Where it stands among the others; of one without writes, what it read at. */
  readonly position: number;
  readonly writes: boolean;
  readonly steps: readonly Step[];
}

export const groups = 2;
export const groupOf = (value: number): number => value % groups;

/** The first step that the order of positions does not explain; undefined if it explains all. */
export function unexplained(
  before: ReadonlyMap<number, number>,
  history: readonly Committed[],
): string | undefined {
  const state = new Map(before);
  const order = history.toSorted(
    (left, right) => left.position - right.position || Number(right.writes) - Number(left.writes),
  );
  for (const { name, steps } of order) {
    for (const step of steps) {
      if (step.kind === 'write') state.set(step.key, step.value);
      else if (step.kind === 'remove') state.delete(step.key);
      else {
        const expected = step.kind === 'read' ? state.get(step.key) : countOf(state, step.group);
        if (expected !== step.seen)
          return `${name} saw ${step.seen} where the order of commits gives ${expected}: ${JSON.stringify(step)}`;
      }
    }
  }
  return undefined;
}

function countOf(state: ReadonlyMap<number, number>, group: number): number {
  return [...state.values()].filter((value) => groupOf(value) === group).length;
}
