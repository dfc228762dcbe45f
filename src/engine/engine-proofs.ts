/** Puts the Merkle tree and the checkpoints of an engine together. */
import { type LeafIndex, type Scheduler, systemTenant } from '../base/index.ts';
import { deriveKey } from '../crypto/index.ts';
import {
  type Command,
  type KernelState,
  type LoggedCheckpoint,
  newestCheckpoint,
  settingOf,
} from '../kernel/index.ts';
import type { LogHead } from '../log/index.ts';
import { CheckpointNotes } from './checkpoint-notes.ts';
import { defaultProofs } from './checkpoint-times.ts';
import type { EngineHost } from './host.ts';
import { lastingKey } from './key-files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { placeOfLeaf } from './leaf-places.ts';
import type { LogIndex } from './log-index.ts';
import type { LogReader } from './log-reader.ts';
import { LogTree } from './log-tree.ts';
import type { OpenedEvents } from './opened-events.ts';
import { Proofs } from './proofs.ts';
import { originOf } from './identity.ts';
import { handOversOf, signingKeyOf, vkeysOf } from './signing-keys.ts';
import type { StateHash } from './state-hasher.ts';
import { TileFiles, treeKeyPurpose } from './tile-files.ts';

export interface TreeParts {
  readonly host: EngineHost;
  readonly hierarchy: KeyHierarchy;
  readonly index: LogIndex;
  readonly reader: LogReader;
  readonly background: Scheduler;
  readonly isOwner: boolean;
  readonly head: () => LogHead;
}

/** The tree of the log, as far as tiles on the disk hold it. */
export function treeOf({
  host,
  hierarchy,
  index,
  reader,
  background,
  isOwner,
  head,
}: TreeParts): LogTree {
  const { disk } = host;
  const lasting = lastingKey(hierarchy.keyring, hierarchy.root);
  const key = deriveKey(lasting, treeKeyPurpose);
  lasting.wipe();
  const files = new TileFiles({ disk, logId: hierarchy.keyring.logId, key, isOwner });
  return new LogTree({
    files,
    isOwner,
    scheduler: background,
    framesFrom: (leaf: LeafIndex) => reader.frames(placeOfLeaf({ disk, index }, leaf)),
    leafCount: () => head().leafCount,
  });
}

export interface EngineProofsParts {
  readonly host: EngineHost;
  readonly hierarchy: KeyHierarchy;
  readonly state: KernelState;
  readonly tree: LogTree;
  readonly opened: OpenedEvents;
  readonly head: () => LogHead;
  readonly stateHash: () => Promise<StateHash>;
  readonly stateHashAtHand: () => Promise<StateHash | undefined>;
  readonly stateHashNow: () => StateHash;
  /** Absent for a handle that only reads. */
  readonly submit: ((command: Command) => Promise<unknown>) | undefined;
}

/** The checkpoints of the log. */
export function proofsOf(parts: EngineProofsParts): Proofs {
  const { host, hierarchy, state, opened, submit } = parts;
  const recordAt = (leaf: LeafIndex): LoggedCheckpoint | undefined => {
    const event = opened.atLeaf(systemTenant, leaf)?.event;
    if (event?.type !== 'checkpoint') return undefined;
    const { size, root, covered, chainHash, keyNumber, state: of } = event;
    // Not within the bytes of the event that they were read from.
    return {
      leaf,
      size,
      root: Uint8Array.from(root),
      covered,
      chainHash: Uint8Array.from(chainHash),
      keyNumber,
      ...(of !== undefined && { state: { ...of, hash: Uint8Array.from(of.hash) } }),
    };
  };
  return new Proofs({
    ...parts,
    notes: new CheckpointNotes(host.disk, submit !== undefined),
    scheduler: host.scheduler,
    origin: originOf(hierarchy.keyring),
    settings: { ...defaultProofs, ...host.proofs },
    signingKey: () => signingKeyOf(hierarchy, state.store),
    vkeys: () => vkeysOf(hierarchy.keyring, state.store),
    handOvers: () => handOversOf(hierarchy.keyring, state.store),
    setting: (name) => settingOf(state.store, name),
    newestRecord: () => newestCheckpoint(state.store),
    recordAt,
  });
}
