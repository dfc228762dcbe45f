import { sqlError, type VerityError } from '../../base/index.ts';
import type { SourceText } from '../parse/source.ts';

interface Place {
  readonly source: SourceText;
}

/** UNSUPPORTED_SQL naming `what`, at the place of `node` (the first location found in it). */
export function unsupported(context: Place, what: string, node: unknown): VerityError {
  const location = typeof node === 'number' ? node : firstLocation(node);
  const offset = location === undefined ? undefined : context.source.indexOfByte(location);
  return sqlError('UNSUPPORTED_SQL', `${what} is not supported.`, offset);
}

/**
 * Throws UNSUPPORTED_SQL if `node` has a field outside `known`: what we do not read must not be
 * ignored. `names` gives the words for fields; others are named as the parser calls them.
 */
export function allowFields(
  context: Place,
  node: object,
  known: ReadonlySet<string>,
  names: Readonly<Record<string, string>> = {},
): void {
  for (const [field, value] of Object.entries(node)) {
    if (!known.has(field))
      throw unsupported(context, names[field] ?? field, firstLocation(value) ?? node);
  }
}

/** The smallest location in a tree: the leftmost token it came from. Looks a few levels deep only. */
export function firstLocation(node: unknown, depth = 0): number | undefined {
  if (typeof node !== 'object' || node === null || depth > 12) return undefined;
  let first: number | undefined;
  for (const [field, value] of Object.entries(node)) {
    const location = field === 'location' ? (value as number) : firstLocation(value, depth + 1);
    if (location !== undefined && location >= 0 && (first === undefined || location < first))
      first = location;
  }
  return first;
}
