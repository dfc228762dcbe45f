/** Images whose anchor names an earlier frame, as it would before the log went on. */
import type { Op } from '../../src/base/index.ts';
import {
  anchoredAt,
  anchorKey,
  loadKeys,
  segmentPosition,
  writeNewAnchor,
} from '../../src/engine/index.ts';
import { SimDisk } from '../../src/sim/index.ts';
import { emptyLogHead, segmentHeaderBytes, walkSegment } from '../../src/log/index.ts';
import { type Image, segmentsOf } from './image.ts';
import { fixedKey } from './machine.ts';

/** The image with an anchor that names the frame of this op; 0 names the empty log. */
export async function withAnchorAt(image: Image, op: number): Promise<Image> {
  const disk = SimDisk.fromImage(image);
  const hierarchy = await loadKeys(disk, fixedKey());
  const { logId } = hierarchy.keyring;
  let head = emptyLogHead(logId);
  let anchored = anchoredAt(head, segmentPosition(segmentsOf(image)[0] as string));
  for (const path of segmentsOf(image)) {
    const bytes = image.get(path) as Uint8Array;
    const walked = walkSegment(
      { bytes, offset: segmentHeaderBytes, head, last: true },
      (_frame, _offset, after) => {
        if (after.op <= (op as Op)) anchored = anchoredAt(after, segmentPosition(path));
        return undefined;
      },
    );
    head = walked.head;
  }
  writeNewAnchor(disk, anchored, { logId, key: anchorKey(hierarchy) });
  return disk.image();
}
