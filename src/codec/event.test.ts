import { expect, test } from 'vitest';
import {
  fromHex,
  type ObjectId,
  type Position,
  type StoreKey,
  type TenantId,
  toHex,
} from '../base/index.ts';
import { decodeEvent } from './event-decoding.ts';
import { encodeEvent, type LogEvent } from './event.ts';
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

test('the events of checkpoints, settings and signing keys', () => {
  const place = { position: 300 as Position, tenant: 0 as TenantId };
  const hash = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte);
  const hex = (byte: string, length = 32): string => byte.repeat(length);
  const checkpoint: LogEvent = {
    ...place,
    type: 'checkpoint',
    size: 300,
    root: hash(1),
    covered: 299 as Position,
    chainHash: hash(2),
    keyNumber: 1,
  };
  const withState: LogEvent = {
    ...checkpoint,
    state: { position: 298 as Position, hash: hash(3) },
  };
  const head = `1902ac02${'1a20'}${hex('01')}1b02ab021c20${hex('02')}`;
  expect(toHex(bytesOf(checkpoint))).toBe(`0cac0200${head}1f0101`);
  expect(toHex(bytesOf(withState))).toBe(`0cac0200${head}1d02aa021e20${hex('03')}1f0101`);
  const setting: LogEvent = {
    ...place,
    type: 'settingChanged',
    name: 'quorum',
    data: Uint8Array.of(0x32),
  };
  expect(toHex(bytesOf(setting))).toBe('0dac0200' + '070671756f72756d' + '0a0132');
  const signing: LogEvent = {
    ...place,
    type: 'signingKeyChanged',
    keyNumber: 2,
    previousKey: hash(3),
    publicKey: hash(4),
    signature: hash(5, 64),
  };
  expect(toHex(bytesOf(signing))).toBe(
    `0eac0200${'1f0102'}2020${hex('03')}2120${hex('04')}2240${hex('05', 64)}`,
  );
  for (const event of [checkpoint, withState, setting, signing])
    expect(decodeEvent(bytesOf(event))).toEqual(event);
});

test('an event that lacks a field, or has one of another length, is refused', () => {
  const event: LogEvent = {
    position: 1 as Position,
    tenant: 0 as TenantId,
    type: 'signingKeyChanged',
    keyNumber: 2,
    previousKey: new Uint8Array(32),
    publicKey: new Uint8Array(32),
    signature: new Uint8Array(64),
  };
  const short = { ...event, signature: new Uint8Array(63) } as LogEvent;
  expect(() => decodeEvent(bytesOf(short))).toThrow('has not 64 bytes');
  const cut = bytesOf(event).subarray(0, -(64 + 2));
  expect(() => decodeEvent(cut)).toThrow('lacks its signature');
});

test('a checkpoint that names half of a state, and a hash that is none, are refused', () => {
  const of = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
  const whole = bytesOf({
    position: 2 as Position,
    tenant: 0 as TenantId,
    type: 'checkpoint',
    size: 1,
    root: of(0xaa),
    covered: 2 as Position,
    chainHash: of(0xbb),
    state: { position: 1 as Position, hash: of(0xcc) },
    keyNumber: 1,
  });
  const hex = toHex(whole);
  const without = (part: string): Uint8Array => {
    expect(hex.split(part)).toHaveLength(2);
    return fromHex(hex.replace(part, '')) as Uint8Array;
  };
  expect(() => decodeEvent(without('1d0101'))).toThrow(/half of a state/);
  expect(() => decodeEvent(without(`1e20${'cc'.repeat(32)}`))).toThrow(/half of a state/);
  expect(() => decodeEvent(without('1f0101'))).toThrow(/lacks its key number/);
  const short = hex.replace(`1a20${'aa'.repeat(32)}`, `1a1f${'aa'.repeat(31)}`);
  expect(() => decodeEvent(fromHex(short) as Uint8Array)).toThrow(/32 bytes/);
});
