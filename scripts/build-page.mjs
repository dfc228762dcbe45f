/** Makes dist/page/verify.html: the page of src/page with its script and style inside, named in its policy by hash. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

/** @param {string} root */
export function buildPage(root) {
  const source = join(root, 'src/page');
  /** @param {string} file */
  const bundled = (file) => {
    const [output] = buildSync({
      entryPoints: [join(source, file)],
      bundle: true,
      minify: true,
      write: false,
      format: 'iife',
      target: 'es2022',
      legalComments: 'none',
      charset: 'utf8',
    }).outputFiles;
    // Neither a script nor a style may end its own element.
    return (output?.text ?? '').trim().replaceAll('</', String.raw`<\/`);
  };
  /** @param {string} text */
  const hashOf = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const script = bundled('main.ts');
  const style = bundled('verify.css');
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
  ].join('; ');
  // Nothing may stand beside script and style in their elements: the hashes are of all that does.
  const parts = new Map([
    ['%policy%', policy],
    ['<!-- style -->', `<style>${style}</style>`],
    ['<!-- script -->', `<script>${script}</script>`],
  ]);
  const page = readFileSync(join(source, 'verify.html'), 'utf8').replaceAll(
    /%policy%|<!-- style -->|<!-- script -->/g,
    // A function, since a replacement text would have its `$` read.
    (name) => parts.get(name) ?? '',
  );
  mkdirSync(join(root, 'dist/page'), { recursive: true });
  writeFileSync(join(root, 'dist/page/verify.html'), page);
}
