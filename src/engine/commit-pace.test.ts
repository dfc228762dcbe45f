import { describe, expect, test } from 'vitest';
import { CommitPace, defaultPace } from './commit-pace.ts';

/** The pace after 100 frames for which so many writers waited, whose flushes took `micros` on the turn. */
function paceOf(writers: number, micros = 150): CommitPace {
  const pace = new CommitPace(defaultPace);
  for (let frame = 0; frame < 100; frame++) {
    pace.launched(writers);
    pace.answersOnTurn(micros);
  }
  return pace;
}

describe('where a flush goes', () => {
  test('few writers are flushed on the turn, and no frame of theirs is cut', () => {
    for (const writers of [1, 2, 31]) {
      expect(paceOf(writers, 1_900).takeTurn()).toBe(true);
      expect(paceOf(writers, 1_900).cutCommands).toBe(Number.POSITIVE_INFINITY);
    }
  });

  test('many writers are flushed in the background, half of them a frame, where a flush is slow for so many', () => {
    for (const [writers, micros, cut] of [
      [32, 81, 16],
      [64, 161, 32],
      [257, 643, 129],
    ] as const) {
      expect(paceOf(writers, micros).takeTurn()).toBe(false);
      expect(paceOf(writers, micros).cutCommands).toBe(cut);
      expect(paceOf(writers, micros - 2).takeTurn()).toBe(true);
      expect(paceOf(writers, micros - 2).cutCommands).toBe(Number.POSITIVE_INFINITY);
    }
  });

  test('many writers are flushed in the background from the first frame on if that is asked for', () => {
    const pace = new CommitPace({ ...defaultPace, overlapMicrosPerWriter: 0 });
    pace.launched(32);
    expect(pace.cutCommands).toBe(16);
    for (let frame = 0; frame < 1_000; frame++) expect(pace.takeTurn()).toBe(false);
  });

  test('the first flush is on the turn, and what it takes counts', () => {
    const pace = new CommitPace(defaultPace);
    pace.launched(64);
    expect(pace.takeTurn()).toBe(true);
    pace.answersOnTurn(1_000);
    expect(pace.takeTurn()).toBe(false);
    expect(pace.cutCommands).toBe(32);
  });

  test('after 128 in the background one is tried on the turn', () => {
    for (const pace of [paceOf(64, 1_000), paceOf(1, 10_000)]) {
      const turns = (): number => Array.from({ length: 130 }, () => pace.takeTurn()).indexOf(true);
      expect(turns()).toBe(128);
      pace.answersOnTurn(10_000);
      expect(turns()).toBe(128);
      for (let trial = 0; trial < 9; trial++) {
        turns();
        pace.answersOnTurn(100);
      }
      expect(turns()).toBe(0);
    }
  });

  test('a rise of writers counts at once, a fall after some frames', () => {
    const pace = paceOf(1, 200);
    pace.launched(64);
    expect(pace.takeTurn()).toBe(false);
    pace.launched(1);
    expect(pace.takeTurn()).toBe(false);
    for (let frame = 0; frame < 40; frame++) pace.launched(1);
    expect(pace.takeTurn()).toBe(true);
  });

  test('a single slow flush, however slow, changes nothing', () => {
    const pace = paceOf(1);
    for (const micros of [150, 1_000_000, 150, 150]) pace.answersOnTurn(micros);
    expect(pace.takeTurn()).toBe(true);
  });

  test('few writers stay on the turn when some flushes are slow, not when most are', () => {
    const share = (slowOfTen: number): boolean => {
      const pace = paceOf(1, 100);
      for (let flush = 0; flush < 200; flush++)
        pace.answersOnTurn(flush % 10 < slowOfTen ? 7_000 : 100);
      return pace.takeTurn();
    };
    expect([share(4), share(7)]).toEqual([true, false]);
  });
});

test('some answers in a row are given on the turn, then the event loop gets its own', () => {
  const pace = new CommitPace(defaultPace);
  const answers = (): boolean[] => Array.from({ length: 6 }, () => pace.answersOnTurn(100));
  expect(answers()).toEqual([true, true, true, true, false, false]);
  expect(answers()).toEqual([false, false, false, false, false, false]);
  pace.turnEnded();
  expect(answers()).toEqual([true, true, true, true, false, false]);
  pace.turnEnded();
  expect(pace.answersOnTurn(501)).toBe(false);
});
