import { expect, it } from 'vitest';
import { acrossLines } from './geometry';

const box = (line: number, left: number, width = 10) => ({
  left,
  right: left + width,
  top: line * 20,
  bottom: line * 20 + 20,
});

// 0 1 2
// 3   4
// 5
const boxes = [box(0, 0), box(0, 10), box(0, 20), box(1, 0), box(1, 18), box(2, 0)];

it('goes to the nearest box of the next line', () => {
  expect(acrossLines(boxes, 2, true)).toBe(4);
  expect(acrossLines(boxes, 0, true)).toBe(3);
  expect(acrossLines(boxes, 4, true)).toBe(5);
  expect(acrossLines(boxes, 4, false)).toBe(2);
});

it('stays where there is no other line', () => {
  expect(acrossLines(boxes, 5, true)).toBe(5);
  expect(acrossLines(boxes, 1, false)).toBe(1);
});

it('passes over what has no box', () => {
  expect(acrossLines([box(0, 0), null, box(1, 0)], 0, true)).toBe(2);
});
