/** Arms the faults of a world: turns events into numbered calls of its disk. */
import type { SimClock } from '../clock.ts';
import type { SimMachine } from '../machine.ts';
import type { SimProcess } from '../process.ts';
import type { Tally } from '../tally.ts';
import type { Fault } from './events.ts';

export interface FaultTargets {
  readonly machine: SimMachine;
  readonly simProcess: SimProcess | undefined;
  readonly clock: SimClock;
  /** Counts faults that strike as soon as they are armed. */
  readonly faults: Tally;
}

/** What is not the disk's or the clock's to do: the world does bit rot itself. */
export type ArmedFault = Exclude<Fault, { kind: 'bit rot' }>;

export function arm(fault: ArmedFault, { machine, simProcess, clock, faults }: FaultTargets): void {
  const { disk } = machine;
  switch (fault.kind) {
    case 'crash at call':
      return machine.arm({ crashAtCall: disk.callCount + fault.calls });
    case 'crash at flush':
      return simProcess?.disk.crashAtFlush(simProcess.disk.flushCount + fault.flushes);
    case 'kill at call':
      return simProcess?.disk.killAt(simProcess.disk.callCount + fault.calls);
    case 'failed call': {
      const { calls, forGood } = fault;
      return machine.arm({ fail: [{ call: disk.callCount + calls, code: 'IO_ERROR', forGood }] });
    }
    case 'failed flush': {
      const kinds = ['flush', 'flushInBackground'] as const;
      const code = 'IO_ERROR';
      return machine.arm({
        fail: kinds.map((kind) => ({ call: disk.calls[kind] + fault.flushes, kind, code })),
      });
    }
    case 'failed rename': {
      const call = disk.calls.rename + fault.renames;
      return machine.arm({ fail: [{ call, kind: 'rename', code: 'IO_ERROR' }] });
    }
    case 'full at call': {
      const { calls, forGood } = fault;
      return machine.arm({ fail: [{ call: disk.callCount + calls, code: 'DISK_FULL', forGood }] });
    }
    case 'full disk':
      return machine.arm({ capacityBytes: usedBytes(machine) + fault.spareBytes });
    case 'refused growth':
      return machine.arm({ refuseGrowth: disk.growthCount + fault.growths });
    case 'slow flushes':
      faults.add(fault.kind);
      return machine.arm({ flushMicrosMax: fault.micros });
    case 'clock step':
      faults.add(fault.kind);
      return clock.advance(fault.micros);
    case 'lost write':
      return machine.arm({ falseWrites: [{ write: disk.calls.write + fault.writes }] });
    case 'stray write': {
      const { writes, pick } = fault;
      const write = disk.calls.write + writes;
      return machine.arm({ falseWrites: [{ write, strayTo: pick }] });
    }
    case 'all clear':
      return machine.disarm();
  }
}

function usedBytes({ disk }: SimMachine): number {
  let bytes = 0;
  for (const content of disk.image().values()) bytes += content.length;
  return bytes;
}
