/** Something that must always hold did not: a defect of the database, or of the simulation. */
export class Violation extends Error {
  override readonly name = 'Violation';
  /** Which checker fired. */
  readonly checker: string;

  constructor(checker: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.checker = checker;
  }
}
