import { expect, test } from 'vitest';
import { pagesOf, scrollToRow, visibleRows } from './rows';

test('draws the rows in the window and a margin', () => {
  expect(visibleRows(0, 400, 40, 100000, 0)).toEqual({ first: 0, end: 10 });
  expect(visibleRows(50, 400, 40, 100000, 0)).toEqual({ first: 1, end: 12 });
  expect(visibleRows(4000, 400, 40, 100000, 8)).toEqual({ first: 92, end: 118 });
});

test('never draws rows that there are not', () => {
  expect(visibleRows(0, 400, 40, 3)).toEqual({ first: 0, end: 3 });
  expect(visibleRows(99999, 400, 40, 3)).toEqual({ first: 3, end: 3 });
  expect(visibleRows(-50, 400, 40, 0)).toEqual({ first: 0, end: 0 });
});

test('asks for each page that a range touches, once', () => {
  expect(pagesOf({ first: 0, end: 100 }, 100)).toEqual([0]);
  expect(pagesOf({ first: 99, end: 101 }, 100)).toEqual([0, 1]);
  expect(pagesOf({ first: 250, end: 251 }, 100)).toEqual([2]);
  expect(pagesOf({ first: 5, end: 5 }, 100)).toEqual([]);
});

test('scrolls no further than needed', () => {
  expect(scrollToRow(5, 0, 400, 40)).toBe(0);
  expect(scrollToRow(10, 0, 400, 40)).toBe(40);
  expect(scrollToRow(2, 400, 400, 40)).toBe(80);
});
