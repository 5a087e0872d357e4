import { expect, test } from 'vitest';
import { sunburst } from './sunburst';

const leaf = (name: string, value: number) => ({ name, value, children: [] });

test('the inner ring is a full turn, shared by counts', () => {
  const sectors = sunburst([leaf('a', 3), leaf('b', 1)]);
  expect(sectors.map((sector) => sector.end - sector.start)).toEqual([
    1.5 * Math.PI,
    0.5 * Math.PI,
  ]);
  expect(sectors.at(-1)?.end).toBeCloseTo(2 * Math.PI);
});

test('children stay within their parent and leave a gap for what has no subclass', () => {
  const [parent, first, second] = sunburst([
    { name: 'a', value: 10, children: [leaf('x', 3), leaf('y', 2)] },
  ]);
  expect(parent?.ring).toBe(0);
  expect(first?.path).toEqual(['a', 'x']);
  expect(second?.start).toBe(first?.end);
  expect((second?.end ?? 0) / (2 * Math.PI)).toBeCloseTo(0.5);
});

test('children that overlap share the whole of their parent, no more', () => {
  const sectors = sunburst([{ name: 'a', value: 4, children: [leaf('x', 4), leaf('y', 4)] }]);
  expect(sectors.at(-1)?.end).toBeCloseTo(2 * Math.PI);
});

test('nothing makes no sectors', () => {
  expect(sunburst([])).toEqual([]);
  expect(sunburst([leaf('a', 0)])).toEqual([]);
});
