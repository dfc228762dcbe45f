export { civilOfDays, daysInMonth, daysOfCivil } from './calendar.ts';
export { type CastContext, castContext, castValue } from './cast.ts';
export { coerceToColumn } from './coerce.ts';
export { type Comparator, comparator, compareValues } from './compare.ts';
export {
  checkDate,
  checkTimestamp,
  dateOfTimestamp,
  timestampOf,
  timestampOfDate,
} from './datetime.ts';
export {
  addIntervals,
  compareIntervals,
  intervalOf,
  intervalText,
  negateInterval,
  scaleInterval,
} from './interval.ts';
export { formatText } from './format.ts';
export { fromJs } from './from-js.ts';
export { resolveTypeName, typeName } from './names.ts';
export {
  numericAbs,
  numericAdd,
  numericCompare,
  numericDivide,
  numericModulo,
  numericMultiply,
  numericNegate,
  numericRound,
  numericSubtract,
} from './numeric.ts';
export { parseText } from './parse.ts';
export { type JsOptions, jsConverter, toJs } from './to-js.ts';
