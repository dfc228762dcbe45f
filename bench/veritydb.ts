/** VerityDB for compare/, which is a package of its own and so cannot import it by its name. */
export { keys, type TenantHandle, Verity } from 'veritydb';
