import { expect, test } from 'vitest';
import { levelOf, simulatedLevel } from './levels';

test('levels are linear up to the quantile and stop at ten', () => {
  expect([0, 0.24, 0.26, 2.5, 5, 9].map((value) => levelOf(value, 5))).toEqual([
    0, 0, 1, 5, 10, 10,
  ]);
});

test('what has no scale has no level', () => {
  expect(levelOf(3, null)).toBe(0);
  expect(levelOf(3, 0)).toBe(0);
  expect(levelOf(NaN, 5)).toBe(0);
  expect(levelOf(-1, 5)).toBe(0);
});

test('token simulators say levels, the others shares', () => {
  expect(simulatedLevel(0.7, 'segment')).toBeCloseTo(7);
  expect(simulatedLevel(7, 'token')).toBe(7);
  expect(simulatedLevel(99, 'token')).toBe(10);
  expect(simulatedLevel(-0.2, 'detection')).toBe(0);
  expect(simulatedLevel(null, 'segment')).toBe(0);
});
