import { markdownTable } from './project.ts';

export interface LayerRule {
  readonly layer: string;
  /** No clock, randomness, file or socket: compiles without Node's types. */
  readonly pure: boolean;
  /** Layers it may import, each through its index.ts. */
  readonly imports: readonly string[];
  /** Packages and Node modules it may import; `node:*` stands for all of Node's. */
  readonly packages: readonly string[];
}

const words = (cell: string | undefined): string[] =>
  (cell ?? '').split(/[\s,]+/).filter((word) => word !== '' && word !== '–');

/** The table of layers in docs/ARCHITECTURE.md, which the tests hold the code to. */
export function layerRules(): LayerRule[] {
  return markdownTable('docs/ARCHITECTURE.md', 'May import').map(
    ([layer = '', half, , imports, packages]) => ({
      layer,
      pure: half === 'pure',
      imports: words(imports).toSorted(),
      packages: words(packages),
    }),
  );
}
