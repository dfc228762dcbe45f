import { VerityError } from './errors.ts';

/**
 * Splits a path of a Disk into its names; '' is the root and gives none.
 * Throws INVALID_ARGUMENT for a path that is absolute, leaves the root, or has an empty name.
 */
export function diskPathNames(path: string): readonly string[] {
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
        `Path ${JSON.stringify(path)} is not inside the database directory. Use names joined by '/', without '.' or '..'.`,
        { details: { path } },
      );
    }
  }
  return names;
}

/** The directory of a path of a Disk; '' for a name in the root. */
export function diskPathDirectory(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
