/** The files of the store, which may be deleted at any time: they are derived from the log. */
export const storeDirectory = 'store';
export const pagesPath = 'store/pages';
export const superblockPath = 'store/superblock';
