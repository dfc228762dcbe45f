/** Every event of the context is there for a reason (docs/format/receipt.md, Context). */
import { check } from './checks.ts';
import { isCreationOf, type Opened } from './claims.ts';
import { isRow } from './decoded-event.ts';
import type { ReceiptKind } from './receipt-text.ts';

/** Throws CheckFailure 'context'. `definitions`: leaves of the definitions that were needed. */
export function checkContext(
  { events, context }: Opened,
  of: {
    readonly kind: ReceiptKind;
    readonly tenant: number;
    readonly definitions: ReadonlySet<number>;
  },
): void {
  const before = new Set(events.map(({ body }) => (isRow(body) ? body.previousLeaf : undefined)));
  const showsCommands = of.kind === 'row' || of.kind === 'state';
  const positions = new Set(events.map(({ position }) => position));
  for (const event of context) {
    const { leaf, position, command } = event;
    check(
      'context',
      of.definitions.has(leaf) ||
        before.has(leaf) ||
        isCreationOf(event, of.tenant) ||
        (showsCommands && command !== undefined && positions.has(position)),
      `The event at leaf ${leaf} says nothing about the claimed ones.`,
    );
  }
}
