import { expect, test } from 'vitest';
import { bright, dim, paintOrder, plain, pointRadius, shades } from './cloud';
import { discStamp, mix } from './paint_canvas';

test('points are painted by weight, those without a colour first', () => {
  const weights = Uint8Array.from([bright, plain, dim, plain, dim, plain]);
  const colours = Uint8Array.from([0, 3, 1, 0, 0, 2]);
  expect([...paintOrder({ weights, colours })]).toEqual([4, 2, 3, 1, 5, 0]);
  expect([...paintOrder({ weights: new Uint8Array(), colours: new Uint8Array() })]).toEqual([]);
});

test('a disc covers its area', () => {
  for (const radius of [1, 1.4, 2.5, 6]) {
    const { coverage } = discStamp(radius);
    const area = coverage.reduce((sum, covered) => sum + covered, 0) / 256;
    // Coverage is by distance to the centre of a pixel: right to within half a ring of pixels.
    expect(Math.abs(area - Math.PI * radius * radius)).toBeLessThan(Math.PI * radius);
  }
});

test('mixing keeps channels apart', () => {
  expect(mix(0xff000000, 0xffffffff, 256)).toBe(0xffffffff);
  expect(mix(0xff123456, 0xffffffff, 0)).toBe(0xff123456);
  expect(mix(0xff0000ff, 0xffff0000, 128)).toBe(0xff7f007f);
  expect(mix(0xff00ff00, 0xff000000, 128)).toBe(0xff007f00);
});

test('dim points fade into the ground, others keep their colour', () => {
  const [faded, plainInks, brightInks] = shades({
    palette: [[200, 0, 100]],
    ground: [0, 0, 0],
    radius: 1,
  });
  expect(faded?.[0]).toEqual([50, 0, 25]);
  expect(plainInks?.[0]).toEqual([200, 0, 100]);
  expect(brightInks).toEqual(plainInks);
});

test('points grow with the zoom and shrink with their number', () => {
  expect(pointRadius(100000, 1)).toBeLessThan(pointRadius(300, 1));
  expect(pointRadius(300, 8)).toBeGreaterThan(pointRadius(300, 1));
  expect(pointRadius(300, 1e9)).toBeLessThanOrEqual(7);
});
