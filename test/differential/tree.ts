/** Statements as trees, so that a failing one can be made smaller piece by piece. */

export type Tree = string | Branch;

export interface Branch {
  /** `optional` may go; of a `list` elements may go; an `expression` may be replaced by one of its type within it. */
  readonly kind: 'sequence' | 'optional' | 'list' | 'expression';
  readonly parts: readonly Tree[];
  /** Of an expression. */
  readonly type?: string;
  /** Of a list. */
  readonly separator?: string;
  /** Of a list: elements that stay. */
  readonly minimum?: number;
}

export const sequence = (...parts: readonly Tree[]): Branch => ({ kind: 'sequence', parts });
export const optional = (...parts: readonly Tree[]): Branch => ({ kind: 'optional', parts });
export const expression = (type: string, ...parts: readonly Tree[]): Branch => ({
  kind: 'expression',
  type,
  parts,
});
export const list = (parts: readonly Tree[], separator = ', ', minimum = 1): Branch => ({
  kind: 'list',
  parts,
  separator,
  minimum,
});

export function render(tree: Tree): string {
  if (typeof tree === 'string') return tree;
  return tree.parts.map(render).join(tree.separator ?? '');
}

/** Every tree that is one step smaller, the ones with most cut away first. */
export function* smaller(tree: Tree): Generator<Tree, undefined> {
  if (typeof tree === 'string') return undefined;
  if (tree.kind === 'optional') yield '';
  if (tree.kind === 'list' && tree.parts.length > (tree.minimum ?? 1)) {
    for (let index = 0; index < tree.parts.length; index++)
      yield { ...tree, parts: tree.parts.toSpliced(index, 1) };
  }
  if (tree.kind === 'expression') {
    yield* expressionsWithin(tree, tree.type as string);
    if (tree.parts.length > 1 || typeof tree.parts[0] !== 'string')
      yield expression(tree.type as string, `NULL::${tree.type}`);
  }
  for (const [index, part] of tree.parts.entries()) {
    for (const less of smaller(part)) yield { ...tree, parts: tree.parts.with(index, less) };
  }
  return undefined;
}

function* expressionsWithin(tree: Branch, type: string): Generator<Branch, undefined> {
  for (const part of tree.parts) {
    if (typeof part === 'string') continue;
    if (part.kind === 'expression' && part.type === type) yield part;
    else yield* expressionsWithin(part, type);
  }
  return undefined;
}
