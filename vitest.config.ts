import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// The tests of layers run the TypeScript sources. What starts a process (CLI, pack, crash tests)
// runs dist/, which `npm test` brings up to date first.
const alias = {
  'veritydb/envelope': fileURLToPath(new URL('src/envelope/index.ts', import.meta.url)),
  veritydb: fileURLToPath(new URL('src/database/index.ts', import.meta.url)),
};

export default defineConfig({
  test: {
    // One would leave a core idle where there are two.
    maxWorkers: '100%',
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'layers',
          include: ['src/**/*.test.ts'],
          // Layers keep no state in modules, so files may share one module graph: ten times faster.
          isolate: false,
          testTimeout: 20_000,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'whole',
          include: ['test/**/*.test.ts'],
          exclude: ['test/fixtures/**'],
          isolate: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/**/*.test.ts', 'src/**/*.long.ts', 'src/**/*.bench.ts', 'src/**/*.fuzz.ts'],
    },
  },
});
