import { expect, test } from 'vitest';
import { pointGrid } from './grid';
import { isInside, pointsInside, readOutline, writeOutline } from './lasso';

/** A repeatable cloud (an additive sequence, no two alike). */
function cloud(n: number) {
  const xs = new Float32Array(n);
  const ys = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    xs[i] = (i * 0.7548776662466927) % 1;
    ys[i] = (i * 0.5698402909980532) % 1;
  }
  return { xs, ys };
}

const at = (values: Float32Array, i: number) => values[i] ?? NaN;

test('the grid finds the same nearest point as a search of all', () => {
  const { xs, ys } = cloud(5000);
  const grid = pointGrid(xs, ys);
  for (let query = 0; query < 200; query++) {
    const x = (query * 0.618) % 1;
    const y = (query * 0.414) % 1;
    let best = -1;
    let least = 0.02 ** 2;
    for (let i = 0; i < xs.length; i++) {
      const distance = (at(xs, i) - x) ** 2 + (at(ys, i) - y) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    expect(grid.nearest(x, y, 0.02)).toBe(best);
  }
});

test('nearest respects radius and condition', () => {
  const grid = pointGrid([0.5, 0.52], [0.5, 0.5]);
  expect(grid.nearest(0.5, 0.5, 0.01)).toBe(0);
  expect(grid.nearest(0.5, 0.5, 0.05, (point) => point === 1)).toBe(1);
  expect(grid.nearest(0.1, 0.1, 0.05)).toBe(-1);
  expect(pointGrid([], []).nearest(0.5, 0.5, 1)).toBe(-1);
});

test('points on the border of the plane are kept', () => {
  const grid = pointGrid([0, 1, 1], [0, 1, 0]);
  expect(grid.within(0, 0, 1, 1).sort()).toEqual([0, 1, 2]);
  expect(grid.nearest(1, 1, 0.1)).toBe(1);
});

const bow: [number, number][] = [
  [0, 0],
  [1, 1],
  [1, 0],
  [0, 1],
];

test('inside follows the outline, holes included', () => {
  const square: [number, number][] = [
    [0.2, 0.2],
    [0.8, 0.2],
    [0.8, 0.8],
    [0.2, 0.8],
  ];
  expect(isInside(square, 0.5, 0.5)).toBe(true);
  expect(isInside(square, 0.1, 0.5)).toBe(false);
  expect(isInside(bow, 0.9, 0.5)).toBe(true);
  expect(isInside(bow, 0.5, 0.9)).toBe(false);
});

test('a lasso finds the same points as a test of all', () => {
  const { xs, ys } = cloud(3000);
  const found = pointsInside(bow, pointGrid(xs, ys), xs, ys);
  const expected = [...xs.keys()].filter((i) => isInside(bow, at(xs, i), at(ys, i)));
  expect(found).toEqual(expected);
  expect(found.length).toBeGreaterThan(1000);
});

test('two corners hold nothing', () => {
  const { xs, ys } = cloud(100);
  const line: [number, number][] = [
    [0, 0],
    [1, 1],
  ];
  expect(pointsInside(line, pointGrid(xs, ys), xs, ys)).toEqual([]);
});

test('an outline goes into an address and back', () => {
  expect(readOutline(writeOutline(bow))).toEqual(bow);
  expect(writeOutline([[-0.01, 1.2]])).toBe('-1000.120000');
  const long = Array.from({ length: 1000 }, (_, i) => [i / 1000, 0] as const);
  expect(readOutline(writeOutline(long))?.length).toBeLessThanOrEqual(80);
  for (const word of ['', '1.2', '1.2_3.4', '1.2_3.4_x.5', '1_2_3', '1.2.3_1.2_3.4'])
    expect(readOutline(word)).toBeNull();
});
