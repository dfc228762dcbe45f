/** The project as data for tests: its files, their imports, and the layers. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parseSync, Visitor } from 'oxc-parser';

export const root = fileURLToPath(new URL('../..', import.meta.url));

const unread = new Set(['node_modules', 'dist', 'coverage', '.git']);

/** Paths of all files under `directory` ('' is the root), `/`-separated and relative to the root. */
export function filesUnder(directory: string): string[] {
  if (!existsSync(join(root, directory))) return [];
  const found: string[] = [];
  const pending = [directory];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const entry of readdirSync(join(root, next), { withFileTypes: true })) {
      if (unread.has(entry.name) || entry.name.startsWith('demo-data')) continue;
      const path = posix.join(next, entry.name);
      if (entry.isDirectory()) pending.push(path);
      else if (entry.isFile()) found.push(path);
    }
  }
  return found.toSorted();
}

export function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Folders under src/. */
export function layerFolders(): string[] {
  return readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted();
}

/** Folders under src/ that hold code. */
export function layers(): string[] {
  return layerFolders().filter((layer) =>
    filesUnder(`src/${layer}`).some((path) => path.endsWith('.ts')),
  );
}

export function isTest(path: string): boolean {
  return /\.(test|long|bench|fuzz)\.ts$/.test(path);
}

/** Files of a layer that are compiled and shipped: TypeScript, no tests. */
export function sourcesOf(layer: string): string[] {
  return filesUnder(`src/${layer}`).filter((path) => path.endsWith('.ts') && !isTest(path));
}

/** Layers that `layer`'s tsconfig.json refers to. */
export function referencesOf(layer: string): string[] {
  const config = JSON.parse(readText(`src/${layer}/tsconfig.json`)) as {
    references: { path: string }[];
  };
  return config.references.map(({ path }) => posix.basename(path)).toSorted();
}

export interface Import {
  /** As written, or undefined for an `import(…)` of something computed. */
  readonly specifier: string | undefined;
  readonly line: number;
}

/** Every static import, re-export, `import(…)` and `import('…')` type of a file. */
export function importsOf(path: string): Import[] {
  const text = readText(path);
  const imports: Import[] = [];
  const add = (source: unknown, start: number): void => {
    const line = text.slice(0, start).split('\n').length;
    const value = (source as { value?: unknown } | null)?.value;
    imports.push({ specifier: typeof value === 'string' ? value : undefined, line });
  };
  new Visitor({
    ImportDeclaration: (node) => add(node.source, node.start),
    ExportAllDeclaration: (node) => add(node.source, node.start),
    ExportNamedDeclaration: (node) => {
      if (node.source !== null) add(node.source, node.start);
    },
    ImportExpression: (node) => add(node.source, node.start),
    TSImportType: (node) => add(node.source, node.start),
  }).visit(parse(path));
  return imports;
}

/** The syntax tree of a TypeScript file (ESTree with TypeScript's nodes). Throws when it does not parse. */
export function parse(path: string): ReturnType<typeof parseSync>['program'] {
  const { program, errors } = parseSync(path, readText(path));
  const [first] = errors;
  if (first !== undefined) throw new SyntaxError(`${path}: ${first.message}`);
  return program;
}

/** Runs the project's TypeScript compiler and returns its exit code and output. */
export function compile(directory: string, ...args: string[]): { status: number; output: string } {
  const compiler = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(compiler, 'bin/tsc'), ...args, '--pretty', 'false'],
    { cwd: directory, encoding: 'utf8', timeout: 60_000 },
  );
  return { status: status ?? -1, output: stdout + stderr };
}

/** The rows of the first Markdown table whose header contains `heading`, as cells without marks. */
export function markdownTable(path: string, heading: string): string[][] {
  const lines = readText(path).split('\n');
  const start = lines.findIndex((line) => line.startsWith('|') && line.includes(heading));
  if (start < 0) throw new Error(`${path} has no table with a column "${heading}"`);
  const rows: string[][] = [];
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith('|')) break;
    rows.push(
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.replaceAll('`', '').trim()),
    );
  }
  return rows;
}
