/** The checks of a receipt, by name, in the order in which they are made (docs/format/receipt.md, Checks). */
export const receiptChecks = [
  'options',
  'format',
  'note',
  'origin',
  'leaves',
  'inclusion',
  'handOver',
  'signature',
  'witnesses',
  'timeStamp',
  'record',
  'event',
  'tenant',
  'position',
  'history',
  'definition',
  'row',
  'state',
  'context',
] as const;
export type ReceiptCheck = (typeof receiptChecks)[number];

/** A check that does not hold. Thrown inside this layer only: verifyReceipt answers with it. */
export class CheckFailure extends Error {
  override readonly name = 'CheckFailure';
  readonly check: ReceiptCheck;

  constructor(check: ReceiptCheck, what: string) {
    super(what);
    this.check = check;
  }
}

/** Throws CheckFailure unless `holds`. `what` says what is wrong: a whole sentence. */
export function check(name: ReceiptCheck, holds: boolean, what: string): asserts holds {
  if (!holds) throw new CheckFailure(name, what);
}
