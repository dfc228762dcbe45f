import { sqlError, type TypeName, type VerityError } from '../../base/index.ts';

/** INVALID_TEXT (22P02): the text does not spell a value of the type. Never quotes the text. */
export function invalidText(type: TypeName, expected: string): VerityError {
  return sqlError('INVALID_TEXT', `The text is not a value of type ${type}. ${expected}`);
}

/** NUMERIC_OUT_OF_RANGE (22003). */
export function outOfRange(
  type: TypeName,
  remedy = 'Use a smaller number or a wider type.',
): VerityError {
  return sqlError('NUMERIC_OUT_OF_RANGE', `The number is out of range for type ${type}. ${remedy}`);
}

/** TYPE_MISMATCH (42804): a JavaScript value that stands for no value of the SQL type. */
export function mismatch(type: TypeName, expected: string): VerityError {
  return sqlError(
    'TYPE_MISMATCH',
    `The value given from JavaScript does not fit type ${type}. Pass ${expected}.`,
  );
}
