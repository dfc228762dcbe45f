export { acquireLock, type DirectoryLock } from './lock.ts';
export { lockMemory, type LockedMemory } from './locked-memory.ts';
export { memoryDisk } from './memory-disk.ts';
export { nodeDisk, type NodeDiskOptions } from './node-disk.ts';
export { openToOthers } from './permissions.ts';
export { openScratchFile } from './scratch-file.ts';
export { systemClock, systemEntropy, systemScheduler } from './system.ts';
