import { type Disk, type LeafIndex, type Position, type TenantId } from '../base/index.ts';
import { decodeEvent, type LogEvent } from '../codec/index.ts';
import { type EventOpening, isProblem, openSectionForReceipts } from '../log/index.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { placeOfLeaf } from './leaf-places.ts';
import type { LogIndex } from './log-index.ts';
import type { LocatedFrame, LogReader } from './log-reader.ts';
import { corruption } from './log-walk.ts';

/** An event of the log with what opens its commitment. */
export interface OpenedLogEvent extends Omit<EventOpening, 'event' | 'leaf'> {
  readonly leaf: LeafIndex;
  readonly event: LogEvent;
  readonly bytes: Uint8Array;
}

interface EventSource {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  readonly index: LogIndex;
  readonly reader: LogReader;
}

/** Frames whose events stay opened, unless they are large: a receipt asks for several of one frame. */
const framesKept = 8;
const frameKeptBytesMax = 1 << 20;

/** A tenant's events of a frame. */
interface OpenedFrame {
  readonly tenant: TenantId;
  readonly firstLeaf: number;
  /** Of all tenants. */
  readonly leafCount: number;
  readonly events: readonly OpenedLogEvent[];
}

/** Reads committed events back together with their salts: what receipts are made of. */
export class OpenedEvents {
  readonly #source: EventSource;
  /** The one used last behind the others. */
  readonly #kept = new Map<string, OpenedFrame>();

  constructor(source: EventSource) {
    this.#source = source;
  }

  /** All events of the tenant's command at `position`, in log order; none if the tenant has none there. */
  atPosition(tenant: TenantId, position: Position): OpenedLogEvent[] {
    return this.between(tenant, position, position).next().value ?? [];
  }

  /** The tenant's commands from one position to another (both of them too), each with all of its events, oldest first. */
  *between(tenant: TenantId, from: Position, to: Position): Generator<OpenedLogEvent[], void> {
    const { reader, index } = this.#source;
    for (const located of reader.frames(index.before(from))) {
      const { header } = located.frame;
      if (header.firstPosition > to) return;
      if (header.lastPosition < from) continue;
      let command: OpenedLogEvent[] = [];
      for (const event of this.#opened(located, tenant)) {
        const at = event.event.position;
        if (at < from || at > to) continue;
        if (command.length > 0 && command[0]?.event.position !== at) {
          yield command;
          command = [];
        }
        command.push(event);
      }
      if (command.length > 0) yield command;
      if (header.lastPosition >= to) return;
    }
  }

  /** The tenant's event at this leaf, or undefined where there is none of that tenant. */
  atLeaf(tenant: TenantId, leaf: LeafIndex): OpenedLogEvent | undefined {
    for (const [name, known] of this.#kept) {
      const { firstLeaf, leafCount, events } = known;
      if (known.tenant !== tenant || leaf < firstLeaf || leaf >= firstLeaf + leafCount) continue;
      this.#keep(name, known);
      return events.find((event) => event.leaf === leaf);
    }
    const { reader } = this.#source;
    for (const located of reader.frames(placeOfLeaf(this.#source, leaf))) {
      const { header } = located.frame;
      if (header.firstLeaf > leaf) return undefined;
      if (header.firstLeaf + header.leafCount > leaf)
        return this.#opened(located, tenant).find((event) => event.leaf === leaf);
    }
    return undefined;
  }

  #opened(located: LocatedFrame, tenant: TenantId): readonly OpenedLogEvent[] {
    const name = `${tenant} ${located.frame.header.op}`;
    const known = this.#kept.get(name);
    if (known !== undefined) return this.#keep(name, known);
    const { reader, hierarchy } = this.#source;
    const events = hierarchy.security.watch(
      () =>
        this.#tryOpen(located, tenant) ??
        // Sealed anew since the file was opened, and the old secret is gone.
        this.#tryOpen(reader.readAgain(located), tenant),
    );
    if (events === undefined)
      throw corruption(located.path, {
        code: 'AUTHENTICATION_FAILED',
        offset: located.offset,
        what: 'A frame whose key the keyring lacks lies',
      });
    const { frameLength, firstLeaf, leafCount } = located.frame.header;
    if (frameLength > frameKeptBytesMax) return events;
    return this.#keep(name, { tenant, firstLeaf, leafCount, events });
  }

  #keep(name: string, frame: OpenedFrame): readonly OpenedLogEvent[] {
    this.#kept.delete(name);
    if (this.#kept.size >= framesKept) {
      const [oldest] = this.#kept.keys();
      this.#kept.delete(oldest as string);
    }
    this.#kept.set(name, frame);
    return frame.events;
  }

  /** Undefined if the keyring lacks the key. */
  #tryOpen({ frame, path, offset }: LocatedFrame, tenant: TenantId): OpenedLogEvent[] | undefined {
    const section = frame.sections.find((each) => each.tenant === tenant);
    if (section === undefined) return [];
    const { epochSalt, firstLeaf } = frame.header;
    const key = this.#source.hierarchy.sectionKey(tenant, section.secretNumber, epochSalt);
    if (key === undefined) return undefined;
    const opened = openSectionForReceipts(frame, section, key);
    if (isProblem(opened)) throw corruption(path, { ...opened, offset: offset + opened.offset });
    return opened.map(({ event: bytes, leaf, ...rest }) => ({
      ...rest,
      bytes,
      event: decodeEvent(bytes),
      leaf: (firstLeaf + leaf) as LeafIndex,
    }));
  }
}
