import { describe, expect, test } from 'vitest';
import { CommitPace, defaultPace } from './commit-pace.ts';

function paceOf(writers: number): CommitPace {
  const pace = new CommitPace(defaultPace);
  for (let frame = 0; frame < 100; frame++) pace.launched(writers);
  return pace;
}

describe('where a flush goes', () => {
  test('few writers are flushed on the turn, and no frame of theirs is cut', () => {
    for (const writers of [1, 2, 31]) {
      expect(paceOf(writers).takeTurn()).toBe(true);
      expect(paceOf(writers).cutCommands).toBe(Number.POSITIVE_INFINITY);
    }
  });

  test('many writers are flushed in the background, half of them a frame', () => {
    for (const [writers, cut] of [
      [32, 16],
      [64, 32],
      [257, 129],
    ] as const) {
      expect(paceOf(writers).takeTurn()).toBe(false);
      expect(paceOf(writers).cutCommands).toBe(cut);
    }
  });

  test('a rise of writers counts at once, a fall after some frames', () => {
    const pace = paceOf(1);
    pace.launched(64);
    expect(pace.takeTurn()).toBe(false);
    pace.launched(1);
    expect(pace.takeTurn()).toBe(false);
    for (let frame = 0; frame < 40; frame++) pace.launched(1);
    expect(pace.takeTurn()).toBe(true);
  });

  test('slow flushes send the next ones to the background; then one is tried on the turn again', () => {
    const pace = paceOf(1);
    for (const _flush of [1, 2, 3]) {
      expect(pace.takeTurn()).toBe(true);
      pace.answersOnTurn(10_000);
    }
    const turns = Array.from({ length: 130 }, () => pace.takeTurn());
    expect(turns.indexOf(true)).toBe(128);
  });

  test('a single slow flush, however slow, changes nothing', () => {
    const pace = paceOf(1);
    for (const micros of [150, 1_000_000, 150, 150]) pace.answersOnTurn(micros);
    expect(pace.takeTurn()).toBe(true);
  });
});

test('some answers in a row are given on the turn, then the event loop gets its own', () => {
  const pace = paceOf(1);
  const answers = (): boolean[] => Array.from({ length: 6 }, () => pace.answersOnTurn(100));
  expect(answers()).toEqual([true, true, true, true, false, false]);
  expect(answers()).toEqual([false, false, false, false, false, false]);
  pace.turnEnded();
  expect(answers()).toEqual([true, true, true, true, false, false]);
  pace.turnEnded();
  expect(pace.answersOnTurn(501)).toBe(false);
});
