import { insertAndBare } from './inserts.ts';
for (const l of await insertAndBare(64, 40000)) console.log(JSON.stringify(l));
