import { VerityError } from '../base/index.ts';

/** Splits a path of a Disk into its names; '' is the root. Throws INVALID_ARGUMENT for one that leaves it. */
export function pathNames(path: string): readonly string[] {
  if (path === '') return [];
  const names = path.split('/');
  for (const name of names) {
    if (
      name === '' ||
      name === '.' ||
      name === '..' ||
      name.includes('\0') ||
      name.includes('\\')
    ) {
      throw new VerityError(
        'INVALID_ARGUMENT',
        `Path ${JSON.stringify(path)} is not inside the simulated disk.`,
      );
    }
  }
  return names;
}
