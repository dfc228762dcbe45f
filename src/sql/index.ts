export * from './contract.ts';
export { ResultSize } from './execute/result-size.ts';
export { sampleTable } from './execute/sample.ts';
export { loadParser, parseScript } from './parse/script.ts';
export { bindParameters, prepare } from './prepare.ts';
export { bytesOfKey, keyOfBytes } from './schema/key-bytes.ts';
export { primaryKeyColumns } from './schema/table-keys.ts';
export { catalogFrom } from './schema/catalog.ts';
export {
  indexedValues,
  indexesOf,
  indexKey,
  primaryKeyOf,
  tableEventCut,
  tableRowCodec,
} from './schema/table-layout.ts';
export { fromJs, jsConverter, parseText, typeName } from './types/index.ts';
