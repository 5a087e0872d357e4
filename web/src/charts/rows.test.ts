import { expect, test } from 'vitest';
import {
  barOf,
  drawnHeight,
  pagesOf,
  placeOf,
  scrollToRow,
  scrolled,
  visibleRows,
  type Sizes,
} from './rows';

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

const short: Sizes = { whole: 54 * 1000, seen: 600 };
const long: Sizes = { whole: 54 * 50_000_000, seen: 600 };

test('a short table is scrolled by its own pixels', () => {
  expect(drawnHeight(short)).toBe(short.whole);
  for (const at of [0, 1, 777, short.whole - short.seen]) {
    expect(placeOf(at, short)).toBe(at);
    expect(barOf(at, short)).toBe(at);
  }
  expect(scrolled(100, 100, 5000, short)).toBe(5000);
});

test('the bar of a table that no browser draws reaches its first, its last and any row', () => {
  expect(drawnHeight(long)).toBeLessThan(17_000_000);
  const last = drawnHeight(long) - long.seen;
  const end = long.whole - long.seen;
  expect(scrolled(1e9, 4e6, 0, long)).toBe(0);
  expect(scrolled(1e9, 4e6, last, long)).toBe(end);
  expect(placeOf(last / 2, long)).toBeCloseTo(end / 2, 3);
  let before = -1;
  for (let top = 0; top <= last; top += last / 1000) {
    const place = placeOf(top, long);
    expect(place).toBeGreaterThan(before);
    expect(barOf(place, long)).toBeCloseTo(top, 3);
    before = place;
  }
});

test('a wheel moves it by pixels, wherever it is', () => {
  for (const place of [5_000, 1e9, long.whole - 5_000]) {
    const bar = barOf(place, long);
    expect(scrolled(place, bar, bar + 100, long)).toBe(place + 100);
    expect(scrolled(place, bar, bar - 100, long)).toBe(place - 100);
  }
  expect(scrolled(50, 50, 0, long)).toBe(0);
});
