import { expect, test } from 'vitest';
import { maxZoom, pan, toPlane, toScreen, wholePlane, zoomAt } from './camera';

const size = { width: 800, height: 600 };

test('screen and plane are each other’s inverse, y upwards', () => {
  const camera = { x: 0.3, y: 0.7, zoom: 5 };
  const [px, py] = toScreen(camera, size, 0.31, 0.72);
  expect(py).toBeLessThan(300);
  const [x, y] = toPlane(camera, size, px, py);
  expect(x).toBeCloseTo(0.31);
  expect(y).toBeCloseTo(0.72);
});

test('the whole plane fits at zoom 1', () => {
  for (const [x, y] of [
    [0, 0],
    [1, 1],
  ] as const) {
    const [px, py] = toScreen(wholePlane, size, x, y);
    expect(px).toBeGreaterThan(0);
    expect(px).toBeLessThan(800);
    expect(py).toBeGreaterThan(0);
    expect(py).toBeLessThan(600);
  }
});

test('zooming keeps what is under the pointer', () => {
  const before = toPlane(wholePlane, size, 500, 200);
  const after = toPlane(zoomAt(wholePlane, size, 3, 500, 200), size, 500, 200);
  expect(after[0]).toBeCloseTo(before[0]);
  expect(after[1]).toBeCloseTo(before[1]);
});

test('zoom and place stay within bounds', () => {
  expect(zoomAt(wholePlane, size, 1e9, 0, 0).zoom).toBe(maxZoom);
  expect(zoomAt(wholePlane, size, 1e-9, 0, 0).zoom).toBe(1);
  const far = pan(wholePlane, size, -1e6, 1e6);
  expect([far.x, far.y]).toEqual([1, 1]);
});

test('panning moves by pixels', () => {
  const [px, py] = toScreen(wholePlane, size, 0.5, 0.5);
  const [qx, qy] = toScreen(pan(wholePlane, size, 10, -20), size, 0.5, 0.5);
  expect(qx - px).toBeCloseTo(10);
  expect(qy - py).toBeCloseTo(-20);
});
