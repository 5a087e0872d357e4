import { expect, test } from 'vitest';
import { percent, short } from './format';

test('numbers keep two digits that matter', () => {
  expect([0, 0.00042, 0.0123, 0.5, 7.25, 31.7, 320, 45000, 1234567].map(short)).toEqual([
    '0',
    '4.2e−4',
    '0.0123',
    '0.5',
    '7.25',
    '31.7',
    '320',
    '45k',
    '1.2M',
  ]);
  expect(short(-0.25)).toBe('−0.25');
  expect(short(null)).toBe('–');
  expect(short(NaN)).toBe('–');
});

test('shares as percentages', () => {
  expect([0, 0.000001, 0.0002, 0.0656, 0.42].map(percent)).toEqual([
    '0 %',
    '1e−4 %',
    '0.02 %',
    '6.6 %',
    '42 %',
  ]);
});
