import { expect, test } from 'vitest';
import { takeSecureHeap } from './secure-heap.ts';

test.each<[string[], string[], number | undefined]>([
  [['status', 'data'], ['status', 'data'], undefined],
  [['status', 'data', '--secure-heap'], ['status', 'data'], 65_536],
  [['--secure-heap', 'status', 'data'], ['status', 'data'], 65_536],
  [['status', '--secure-heap=131072', 'data'], ['status', 'data'], 131_072],
  [['status', '--secure-heap=4096', '--secure-heap=8192'], ['status'], 8_192],
  [['sql', '--', '--secure-heap'], ['sql', '--', '--secure-heap'], undefined],
  [['sql', '--secure-heaps'], ['sql', '--secure-heaps'], undefined],
])('%j is taken apart', (args, rest, bytes) => {
  expect(takeSecureHeap(args)).toEqual({ args: rest, bytes });
});

test.each(['', '0', '1000', '4095', '65535', '-65536', '64k', '2147483648', '99999999999'])(
  'a size of %j is wrong usage',
  (size) => {
    expect(() => takeSecureHeap(['status', `--secure-heap=${size}`])).toThrow('power of two');
  },
);
