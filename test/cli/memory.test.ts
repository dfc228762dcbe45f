import { chmodSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { verity, verityJson, Workspace } from './verity-command.ts';

const workspace = new Workspace();
afterAll(() => workspace.remove());

test('--secure-heap and --lock-memory show in status', () => {
  const directory = workspace.database('memory');
  const plain = { secureHeap: 0, locked: false, lockedBytes: 0 };
  expect(verityJson(['status', directory]).document).toMatchObject({ memory: plain });
  // Windows has no secure heap.
  const secureHeap = process.platform === 'win32' ? 0 : 131_072;
  expect(
    verityJson(['status', directory, '--secure-heap=131072', '--lock-memory']).document,
  ).toMatchObject({ memory: { secureHeap, locked: true, lockedBytes: 262_144 } });
  expect(verity(['status', directory, '--lock-memory']).stdout).toMatch(
    /^memory +keys in 262\.1 kB of locked memory$/m,
  );
});

test('the exit code and the output of a process that was started again are its own', () => {
  expect(verity(['status', workspace.path('none'), '--secure-heap']).exitCode).toBe(1);
  expect(verity(['no-such-verb', '--secure-heap']).exitCode).toBe(2);
  const wrong = verity(['status', workspace.path('none'), '--secure-heap=1000']);
  expect(wrong).toMatchObject({ exitCode: 2, stdout: '' });
  expect(wrong.stderr).toContain('a power of two');
});

test.skipIf(process.platform === 'win32')(
  'a directory that is open to others is warned of, a key file is refused',
  () => {
    const directory = workspace.database('open');
    chmodSync(directory, 0o755);
    const warned = verity(['status', directory]);
    expect(warned.exitCode).toBe(0);
    expect(warned.stderr).toBe(
      `WARNING: The directory ${directory} has mode 0755: others can look into it. Close it with: chmod 700 ${directory}\n`,
    );
    chmodSync(`${directory}.key`, 0o640);
    const refused = verityJson(['status', directory]);
    expect(refused.exitCode).toBe(1);
    expect(refused.document).toMatchObject({ error: { code: 'KEY_FILE_EXPOSED' } });
  },
);
