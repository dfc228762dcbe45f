import { startPage } from './index.ts';

startPage(document);
