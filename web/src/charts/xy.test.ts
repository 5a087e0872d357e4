import { expect, test } from 'vitest';
import { extent, nearestPoint, padded, paddedLog, thinned, type Series } from './xy';

const series = (points: Series['points']): Series => ({
  id: 'a',
  label: 'a',
  colour: 'red',
  points,
});

test('the extent holds intervals and leaves out what is unknown', () => {
  const all = [
    series([
      { x: 16, y: 0.4, low: 0.3, high: null },
      { x: 64, y: 0.2, low: 0.1, high: 0.5 },
      { x: 999, y: NaN },
    ]),
  ];
  expect(extent(all)).toEqual({ x: [16, 64], y: [0.1, 0.5] });
  expect(extent([series([])])).toBeNull();
  expect(extent([series([{ x: 1, y: NaN }])])).toBeNull();
});

test('a range of one value still has a width', () => {
  const [low, high] = padded([2, 2]);
  expect(low).toBeLessThan(2);
  expect(high).toBeGreaterThan(2);
  const [from, to] = padded([0, 0]);
  expect(to).toBeGreaterThan(from);
  expect(paddedLog([16, 16])[0]).toBeLessThan(16);
  expect(paddedLog([16, 64])[0]).toBeGreaterThan(0);
});

test('the nearest drawn point within reach', () => {
  const all = [
    series([
      { x: 1, y: 1 },
      { x: 2, y: NaN },
    ]),
    series([{ x: 3, y: 1, label: 'hit' }]),
  ];
  const scale = (value: number) => value * 100;
  expect(nearestPoint(all, 290, 105, scale, scale)?.point.label).toBe('hit');
  expect(nearestPoint(all, 200, 200, scale, scale)).toBeNull();
});

test('names values that exist, evenly, as many as have room', () => {
  const layers = [0, 3, 6, 9, 12, 15, 18];
  expect(thinned(layers, 9)).toEqual(layers);
  expect(thinned(layers, 4)).toEqual([0, 6, 12, 18]);
  expect(thinned(layers, 0)).toEqual([0]);
  expect(thinned([], 4)).toEqual([]);
});
