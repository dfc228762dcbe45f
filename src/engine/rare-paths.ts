/**
 * Paths that are taken rarely and must be right when they are. The engine tells its host of each one it takes;
 * simulations count them, and CI asserts that every one of this list was reached.
 */
export const rarePaths = [
  // Opening
  'creation started again',
  'torn tail cut',
  'abandoned segment removed',
  'keyring ahead of the log',
  'anchor behind the log',
  'anchor slot written again',
  'store built anew',
  'superblock written again',
  'rotation finished at open',
  // Keys
  'keyring change waited',
  'batch waited for a keyring',
  'tail finished for rekeying',
  'empty tail given a command for rekeying',
  'segment sealed anew',
  'segment recorded again after unfinished rekeying',
  // Copies
  'segment copied again',
  'root key renewed during a copy',
  // The commit loop
  'two frames on their way',
  'frame waited for room',
  'batch refused',
  'handle poisoned',
  'poisoned with two frames on their way',
] as const;

export type RarePath = (typeof rarePaths)[number];
