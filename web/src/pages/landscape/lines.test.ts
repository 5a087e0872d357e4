import { expect, test, vi } from 'vitest';
import type { FeatureLine, FeatureQuery } from '../../api/types';
import { Lines } from './lines.svelte';

const server = () => ({
  features: vi.fn((query?: FeatureQuery) => {
    const ids = (query?.ids ?? '').split(',').map(Number);
    return Promise.resolve({
      total: ids.length,
      offset: 0,
      features: ids.map((id) => ({ id }) as FeatureLine),
    });
  }),
});

test('asks for the last wish only, and for nothing twice', async () => {
  vi.useFakeTimers();
  const api = server();
  const lines = new Lines(api, 'zh');
  lines.want([1]);
  lines.want([2, 3]);
  await vi.runAllTimersAsync();
  lines.want([2, 3, 4]);
  await vi.runAllTimersAsync();
  lines.want([2]);
  await vi.runAllTimersAsync();
  expect(api.features.mock.calls.map(([query]) => query?.ids)).toEqual(['2,3', '4']);
  expect(api.features.mock.calls[0]?.[0]).toEqual({ ids: '2,3', language: 'zh', limit: 2 });
  expect(lines.get(3)?.id).toBe(3);
  expect(lines.get(1)).toBeUndefined();
  vi.useRealTimers();
});

test('a failure leaves room for another try', async () => {
  vi.useFakeTimers();
  const api = server();
  api.features.mockRejectedValueOnce(new Error('busy'));
  const lines = new Lines(api, 'en');
  lines.want([1]);
  await vi.runAllTimersAsync();
  expect(lines.get(1)).toBeUndefined();
  lines.want([1]);
  await vi.runAllTimersAsync();
  expect(lines.get(1)?.id).toBe(1);
  vi.useRealTimers();
});
