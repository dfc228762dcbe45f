export { acquireLock, type DirectoryLock } from './lock.ts';
export { memoryDisk } from './memory-disk.ts';
export { nodeDisk, type NodeDiskOptions } from './node-disk.ts';
export { systemClock, systemEntropy, systemScheduler } from './system.ts';
