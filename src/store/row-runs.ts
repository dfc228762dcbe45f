/**
 * Rows that are too long for a page: sealed as one message over consecutive pages of their own, written when they
 * are put. The cell holds: u32 first page, u32 bytes of the row, the 32 bytes that prove it.
 */
import type { Arena } from './arena.ts';
import { type PageDevice, pageRefBytes, runPages } from './page-device.ts';

/** Bytes that stand for a run in a cell. */
export const runDataBytes = 8 + pageRefBytes;

/** Writes a row as a run and returns what stands for it in a cell. */
export function writeRun(device: PageDevice, row: Uint8Array): Uint8Array {
  const data = new Uint8Array(runDataBytes);
  const view = new DataView(data.buffer);
  const page = device.allocate(runPages(row.length));
  view.setUint32(0, page, true);
  view.setUint32(4, row.length, true);
  device.writeRun(page, row, data, 8);
  return data;
}

/** The row that the data of a cell at `at` stand for. Throws CorruptionError. */
export function readRun(arena: Arena, device: PageDevice, at: number): Uint8Array {
  const row = new Uint8Array(arena.view.getUint32(at + 4, true));
  device.readRun(arena.view.getUint32(at, true), arena.bytes, at + 8, row);
  return row;
}

/** Calls `give` with the pages of the run that the data at `at` stand for. */
export function withRunPages(
  view: DataView,
  at: number,
  give: (page: number, count: number) => void,
): void {
  give(view.getUint32(at, true), runPages(view.getUint32(at + 4, true)));
}
