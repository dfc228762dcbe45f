import { sqlError } from '../../base/index.ts';
import { literalOf } from '../../codec/index.ts';
import { parseText } from '../types/index.ts';
import { atOffset } from './coerce.ts';
import { type Bound, type BindContext, offsetOf } from './context.ts';
import { booleanType, plainTypes } from './type-rules.ts';

interface Constant {
  readonly ival?: { readonly ival?: number };
  readonly fval?: { readonly fval?: string };
  readonly sval?: { readonly sval?: string };
  readonly boolval?: { readonly boolval?: boolean };
  readonly bsval?: unknown;
  readonly isnull?: boolean;
  readonly location?: number;
}

/** A constant; strings and NULL have no type yet. The parser leaves out zeros, false and ''. */
export function bindConstant(context: BindContext, node: Constant): Bound {
  const offset = offsetOf(context, node.location);
  if (node.isnull === true)
    return { expression: { kind: 'literal', value: null }, type: undefined, offset };
  if (node.sval !== undefined) {
    return {
      expression: { kind: 'literal', value: node.sval.sval ?? '' },
      type: undefined,
      offset,
    };
  }
  if (node.ival !== undefined) {
    const type = plainTypes.integer;
    return { expression: { kind: 'literal', type, value: node.ival.ival ?? 0 }, type, offset };
  }
  if (node.boolval !== undefined) {
    return {
      expression: { kind: 'literal', type: booleanType, value: node.boolval.boolval ?? false },
      type: booleanType,
      offset,
    };
  }
  if (node.fval !== undefined) return bindNumber(node.fval.fval ?? '0', offset);
  throw sqlError(
    'UNSUPPORTED_SQL',
    "A bit string is not supported; write bytes as bytea '\\x…'.",
    offset,
  );
}

/** A number that is no 32-bit integer: bigint if it is whole and fits, otherwise numeric. */
function bindNumber(written: string, offset: number | undefined): Bound {
  const text = written.replaceAll('_', '');
  const [, sign, digits] = /^(-?)(\d+|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)$/.exec(text) ?? [];
  if (digits !== undefined) {
    const whole = sign === '-' ? -BigInt(digits) : BigInt(digits);
    if (BigInt.asIntN(32, whole) === whole) {
      const type = plainTypes.integer;
      return { expression: { kind: 'literal', type, value: Number(whole) }, type, offset };
    }
    if (BigInt.asIntN(64, whole) === whole) {
      const type = plainTypes.bigint;
      return {
        expression: { kind: 'literal', type, value: { bigint: whole.toString() } },
        type,
        offset,
      };
    }
    return numericLiteral(whole.toString(), offset);
  }
  return numericLiteral(text, offset);
}

function numericLiteral(text: string, offset: number | undefined): Bound {
  const type = plainTypes.numeric;
  const value = literalOf(atOffset(offset, () => parseText(type, text)));
  return { expression: { kind: 'literal', type, value }, type, offset };
}
