import type { Position, TenantId } from '../base/index.ts';
import type { Engine } from '../engine/index.ts';
import type { ExecutionContext } from '../sql/index.ts';

/** A context that also tells of past commands what the log says of them. */
export function tellingCommands(
  context: ExecutionContext,
  engine: Engine,
  tenant: TenantId,
): ExecutionContext {
  return {
    time: context.time,
    blobs: context.blobs,
    allocateRowId: () => context.allocateRowId(),
    commandAt: (position: Position) => {
      const command = engine.reader.commands(tenant, position).next().value;
      const metadata = command?.events[0]?.event.command;
      if (command?.position !== position || metadata === undefined) return undefined;
      return { time: metadata.time, actor: metadata.actor, reason: metadata.reason };
    },
  };
}
