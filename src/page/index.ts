export { startPage } from './start.ts';
