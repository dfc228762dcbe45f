/**
 * The WebAssembly module that hashes four messages at a time with SHA-256 (FIPS 180-4), one in each 32-bit lane of its vectors,
 * put together instruction by instruction: there is nothing to compile or to trust but this file.
 *
 * Memory: round constants, each four times; the lanes' states (word by word, a vector each); what each lane reads; the jobs;
 * the digests; behind them the messages. `run(count)` pads each message where it lies, hashes all of them and writes the digests. A
 * lane that is done takes the next message at once, so lengths need not be alike.
 */
export const laneMemory = {
  constants: 0,
  state: 1_024,
  /** For each lane: where it reads, blocks left, where its digest goes, how far it goes on. */
  lanes: 1_152,
  counters: 1_216,
  /** Address and length of each message. */
  jobs: 2_048,
  jobsMax: 2_048,
  digests: 18_432,
  messages: 83_968,
  pages: 8,
} as const;

const laneCount = 4;
const { state, lanes, counters, jobs, digests } = laneMemory;
const counter = { next: counters, done: counters + 4 } as const;
const lane = { pointer: lanes, left: lanes + 4, out: lanes + 8, stride: lanes + 12 } as const;

const initial = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
/** The fractional parts of the cube roots of the first 64 primes. */
export const roundConstants: readonly number[] = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/** Bytes, in parts within parts. */
type Code = readonly (number | Code)[];
const join = (...parts: readonly Code[]): Code => parts;

function appendTo(bytes: number[], code: Code): number[] {
  for (const part of code) {
    if (typeof part === 'number') bytes.push(part);
    else appendTo(bytes, part);
  }
  return bytes;
}

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

/** LEB128 of a signed 32-bit number. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  while (rest < -64 || rest > 63) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>= 7;
  }
  return [...bytes, rest & 0x7f];
}

const type = { i32: 0x7f, v128: 0x7b } as const;
const vector = (code: number): Code => [0xfd, ...unsigned(code)];
/** Without an address of their own: the address is on the stack, or that of the constant 0. */
const at = (alignment: number, offset: number): Code => [alignment, ...unsigned(offset)];
const instruction = {
  get: (local: number): Code => [0x20, ...unsigned(local)],
  set: (local: number): Code => [0x21, ...unsigned(local)],
  tee: (local: number): Code => [0x22, ...unsigned(local)],
  number: (value: number): Code => [0x41, ...signed(value)],
  load: (offset: number): Code => [0x28, ...at(2, offset)],
  store: (offset: number): Code => [0x36, ...at(2, offset)],
  storeByte: (offset: number): Code => [0x3a, ...at(0, offset)],
  loadVector: (offset: number): Code => [...vector(0), ...at(0, offset)],
  storeVector: (offset: number): Code => [...vector(11), ...at(0, offset)],
  shuffle: (bytes: Code): Code => [...vector(13), ...bytes],
  fill: [0xfc, 0x0b, 0],
  call: (index: number): Code => [0x10, ...unsigned(index)],
  add: [0x6a],
  subtract: [0x6b],
  and: [0x71],
  or: [0x72],
  shiftLeft: [0x74],
  shiftRight: [0x76],
  rotateLeft: [0x77],
  rotateRight: [0x78],
  isZero: [0x45],
  isLess: [0x49],
  if: [0x04, 0x40],
  else: [0x05],
  loop: [0x03, 0x40],
  end: [0x0b],
  branchIf: (depth: number): Code => [0x0d, depth],
  return: [0x0f],
  vectorAnd: vector(78),
  vectorOr: vector(80),
  vectorXor: vector(81),
  vectorShiftLeft: vector(171),
  vectorShiftRight: vector(173),
  vectorAdd: vector(174),
} as const;
const i = instruction;

/** The bytes of a word in reverse order; the word is in `local`. */
const reversed = (local: number): Code =>
  join(
    i.get(local),
    i.number(8),
    i.rotateLeft,
    i.number(0x00ff00ff),
    i.and,
    i.get(local),
    i.number(8),
    i.rotateRight,
    i.number(0xff00ff00),
    i.and,
    i.or,
  );

/** start(place, count): gives the lane whose fields lie at `place`, 16 a lane, the next message, or nothing to do. */
function startLane(): Code {
  const [place, count, next, pointer, length, end] = [0, 1, 2, 3, 4, 5];
  const set = (field: number, ...value: Code[]): Code =>
    join(i.get(place), ...value, i.store(field));
  return join(
    [1, 4, type.i32],
    join(i.number(0), i.load(counter.next), i.tee(next), i.get(count), i.isLess, i.isZero, i.if),
    // No more: it reads the constants over and over, and nobody asks for what becomes of them.
    set(lane.pointer, i.number(0)),
    set(lane.left, i.number(0x7fffffff)),
    set(lane.stride, i.number(0)),
    join(i.return, i.end),
    join(i.number(0), i.get(next), i.number(1), i.add, i.store(counter.next)),
    join(i.get(next), i.number(3), i.shiftLeft, i.load(jobs), i.set(pointer)),
    join(i.get(next), i.number(3), i.shiftLeft, i.load(jobs + 4), i.set(length)),
    set(lane.pointer, i.get(pointer)),
    set(lane.stride, i.number(64)),
    set(lane.out, i.get(next), i.number(5), i.shiftLeft, i.number(digests), i.add),
    // Whole blocks of the message, a byte 80 and eight of length.
    set(lane.left, i.get(length), i.number(72), i.add, i.number(6), i.shiftRight),
    join(i.get(pointer), i.get(length), i.number(72), i.add, i.number(-64), i.and, i.add),
    i.set(end),
    join(i.get(pointer), i.get(length), i.add, i.tee(next), i.number(0x80), i.storeByte(0)),
    join(i.get(next), i.number(1), i.add, i.number(0)),
    join(i.get(end), i.get(next), i.subtract, i.number(5), i.subtract, i.fill),
    join(i.get(length), i.number(3), i.shiftLeft, i.set(length)),
    join(i.get(end), i.number(4), i.subtract, reversed(length), i.store(0)),
    ...initial.map((word, index) =>
      join(i.get(place), i.number(2), i.shiftRight, i.number(word), i.store(state + index * 16)),
    ),
    i.end,
  );
}

/** finish(place, count): writes the lane's digest, big-endian, and starts the next message. */
function finishLane(): Code {
  const [place, count, out, word] = [0, 1, 2, 3];
  return join(
    [1, 2, type.i32],
    join(i.get(place), i.load(lane.out), i.set(out)),
    ...initial.map((_, index) =>
      join(
        join(i.get(place), i.number(2), i.shiftRight, i.load(state + index * 16), i.set(word)),
        join(i.get(out), reversed(word), i.store(index * 4)),
      ),
    ),
    join(i.number(0), i.number(0), i.load(counter.done), i.number(1), i.add),
    i.store(counter.done),
    join(i.get(place), i.get(count), i.call(functions.start), i.end),
  );
}

const functions = { start: 0, finish: 1, run: 2 } as const;

/** run(count): hashes the first `count` jobs, of which there is at least one. */
function run(): Code {
  const places = Array.from({ length: laneCount }, (_, index) => index * 16);
  return join(
    // The count is local 0; then a number, and all others are vectors.
    [2, 1, type.i32, vectorLocals, type.v128],
    join(i.number(0), i.number(0), i.store(counter.next)),
    join(i.number(0), i.number(0), i.store(counter.done)),
    ...places.map((place) => join(i.number(place), i.get(0), i.call(functions.start))),
    i.loop,
    compress(),
    ...places.flatMap((place) => [
      join(i.number(0), i.number(0), i.load(lane.pointer + place)),
      join(i.number(0), i.load(lane.stride + place), i.add, i.store(lane.pointer + place)),
      join(i.number(0), i.number(0), i.load(lane.left + place), i.number(1), i.subtract),
      i.store(lane.left + place),
      join(i.number(0), i.load(lane.left + place), i.isZero, i.if),
      join(i.number(place), i.get(0), i.call(functions.finish), i.end),
    ]),
    join(i.number(0), i.load(counter.done), i.get(0), i.isLess, i.branchIf(0), i.end),
    i.end,
  );
}

/** Where the constants of the next sixteen rounds are. */
const constants = 1;
const sixteenBytes = 16 * 16;
const words = 2;
const registers = words + 16;
const difference = registers + 8;
const vectorLocals = 16 + 8 + 2;

/** One block in each lane, from where it reads into its state. */
function compress(): Code {
  const code: Code[] = [loadWords()];
  const names = Array.from({ length: 8 }, (_, index) => registers + index);
  for (const [index, name] of names.entries())
    code.push(i.number(0), i.loadVector(state + index * 16), i.set(name));
  // Of round t: b ^ c, which is a ^ b of the round before.
  code.push(i.get(names[1] as number), i.get(names[2] as number), i.vectorXor, i.set(difference));
  // After sixteen rounds every register has its old name again.
  const sixteen = (isFirst: boolean): void => {
    for (let round = 0; round < 16; round++) {
      code.push(isFirst ? [] : scheduled(round), oneRound(names, round));
      names.unshift(names.pop() as number);
    }
    code.push(i.get(constants), i.number(sixteenBytes), i.add, i.set(constants));
  };
  code.push(i.number(0), i.set(constants));
  sixteen(true);
  code.push(i.loop);
  sixteen(false);
  code.push(i.get(constants), i.number(4 * sixteenBytes), i.isLess, i.branchIf(0), i.end);
  for (const [index, name] of names.entries()) {
    const place = state + index * 16;
    code.push(join(i.number(0), i.number(0), i.loadVector(place), i.get(name), i.vectorAdd));
    code.push(i.storeVector(place));
  }
  return join(...code);
}

const shuffles = {
  reverse: [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12],
  lowWords: [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23],
  highWords: [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31],
  lowHalves: [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23],
  highHalves: [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31],
} as const;

/** The sixteen words of each lane's block, word by word: four times a square of words, turned. */
function loadWords(): Code {
  const code: Code[] = [];
  const mixed = (left: number, right: number, bytes: Code): Code =>
    join(i.get(left), i.get(right), i.shuffle(bytes));
  for (let square = 0; square < 4; square++) {
    const rows = [0, 1, 2, 3].map((index) => registers + index);
    for (const [index, row] of rows.entries()) {
      code.push(i.number(0), i.load(lane.pointer + index * 16), i.loadVector(square * 16));
      code.push(i.tee(row), i.get(row), i.shuffle(shuffles.reverse), i.set(row));
    }
    const [first, second, third, fourth] = rows as [number, number, number, number];
    const [e, f, g, h] = [4, 5, 6, 7].map((index) => registers + index) as [
      number,
      number,
      number,
      number,
    ];
    code.push(mixed(first, second, shuffles.lowWords), i.set(e));
    code.push(mixed(third, fourth, shuffles.lowWords), i.set(f));
    code.push(mixed(first, second, shuffles.highWords), i.set(g));
    code.push(mixed(third, fourth, shuffles.highWords), i.set(h));
    const word = words + square * 4;
    code.push(mixed(e, f, shuffles.lowHalves), i.set(word));
    code.push(mixed(e, f, shuffles.highHalves), i.set(word + 1));
    code.push(mixed(g, h, shuffles.lowHalves), i.set(word + 2));
    code.push(mixed(g, h, shuffles.highHalves), i.set(word + 3));
  }
  return join(...code);
}

const rotated = (local: number, count: number): Code =>
  join(
    join(i.get(local), i.number(count), i.vectorShiftRight),
    join(i.get(local), i.number(32 - count), i.vectorShiftLeft, i.vectorOr),
  );
const mixture = (local: number, counts: readonly [number, number], last: Code): Code =>
  join(join(rotated(local, counts[0]), rotated(local, counts[1]), i.vectorXor, last), i.vectorXor);

/** W[t] = σ1(W[t − 2]) + W[t − 7] + σ0(W[t − 15]) + W[t − 16], in the place of the last. */
function scheduled(round: number): Code {
  const word = (back: number): number => words + ((round - back) & 15);
  const shifted = (local: number, count: number): Code =>
    join(i.get(local), i.number(count), i.vectorShiftRight);
  return join(
    mixture(word(2), [17, 19], shifted(word(2), 10)),
    join(i.get(word(7)), i.vectorAdd),
    mixture(word(15), [7, 18], shifted(word(15), 3)),
    join(i.vectorAdd, i.get(word(16)), i.vectorAdd, i.set(word(16))),
  );
}

/** A round; the new a is in the place of h, which is the first of the next round. */
function oneRound(names: readonly number[], round: number): Code {
  const [a, b, , d, e, f, g, h] = names as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const newer = difference + 1;
  return join(
    // h + Σ1(e) + ch(e, f, g) + K[t] + W[t]
    join(i.get(h), mixture(e, [6, 11], rotated(e, 25)), i.vectorAdd),
    join(i.get(f), i.get(g), i.vectorXor, i.get(e), i.vectorAnd, i.get(g), i.vectorXor),
    join(i.vectorAdd, i.get(constants), i.loadVector(laneMemory.constants + round * 16)),
    join(i.vectorAdd, i.get(words + round), i.vectorAdd, i.tee(h)),
    join(i.get(d), i.vectorAdd, i.set(d)),
    // … + Σ0(a) + maj(a, b, c), where maj = b ^ ((a ^ b) & (b ^ c))
    join(i.get(h), mixture(a, [2, 13], rotated(a, 22)), i.vectorAdd),
    join(i.get(a), i.get(b), i.vectorXor, i.tee(newer), i.get(difference), i.vectorAnd),
    join(i.get(b), i.vectorXor, i.vectorAdd, i.set(h)),
    join(i.get(newer), i.set(difference)),
  );
}

/** The module: imports its memory as `a.m`, exports `run` as `r`. */
export function lanesModule(): Uint8Array<ArrayBuffer> {
  const sized = (...parts: readonly Code[]): Code => {
    const body = appendTo([], parts);
    return [...unsigned(body.length), body];
  };
  const section = (id: number, ...parts: readonly Code[]): Code => [id, sized(...parts)];
  const name = (letter: string): Code => [1, letter.charCodeAt(0)];
  return Uint8Array.from(
    appendTo(
      [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      join(
        section(1, [2, 0x60, 2, type.i32, type.i32, 0, 0x60, 1, type.i32, 0]),
        section(2, [1], name('a'), name('m'), [2, 0, laneMemory.pages]),
        section(3, [3, 0, 0, 1]),
        section(7, [1], name('r'), [0, functions.run]),
        section(10, [3], sized(startLane()), sized(finishLane()), sized(run())),
      ),
    ),
  );
}
