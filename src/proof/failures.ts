/** The two ways in which text that claims to prove something is refused. */
import { VerityError } from '../base/index.ts';

/** The text is not in its format's one spelling. `what` says which rule it breaks. */
export function malformed(format: string, what: string): VerityError {
  return new VerityError('PROOF_MALFORMED', `The ${format} is malformed: ${what}.`);
}

/** A signature of a known key is wrong, or none of a known key is there. */
export function unverified(what: string): VerityError {
  return new VerityError('SIGNATURE_INVALID', what);
}
