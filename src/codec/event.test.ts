import { expect, test } from 'vitest';
import {
  type ObjectId,
  type Position,
  type StoreKey,
  type TenantId,
  toHex,
} from '../base/index.ts';
import { decodeEvent, encodeEvent, type LogEvent } from './event.ts';
import { Writer } from './writer.ts';

function bytesOf(event: LogEvent): Uint8Array {
  const writer = new Writer(64);
  encodeEvent(writer, event);
  return writer.finish();
}

test('the event of a filled index, with and without bounds', () => {
  const place = { position: 300 as Position, tenant: 2 as TenantId };
  const whole: LogEvent = {
    ...place,
    type: 'indexFilled',
    object: 16 as ObjectId,
    index: 17 as ObjectId,
  };
  const part: LogEvent = { ...whole, from: '\x01\xff' as StoreKey, to: '\x01' as StoreKey };
  expect(toHex(bytesOf(whole))).toBe('0bac0202' + '020110' + '150111');
  expect(toHex(bytesOf(part))).toBe('0bac0202' + '020110' + '150111' + '160201ff' + '170101');
  for (const event of [whole, part]) expect(decodeEvent(bytesOf(event))).toEqual(event);
});
