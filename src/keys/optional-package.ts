import { VerityError } from '../base/index.ts';

/**
 * What `load` imports. Throws KEY_PROVIDER_MISSING, saying what to install, when the package, one that it needs,
 * or its native part is not there.
 */
export async function optionalPackage<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new VerityError(
      'KEY_PROVIDER_MISSING',
      `The package ${name} cannot be loaded. Install it beside veritydb: npm install ${name}`,
      { cause, details: { package: name } },
    );
  }
}
