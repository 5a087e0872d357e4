import { expect, test, vi } from 'vitest';
import type { FeatureLine, FeaturePage, FeatureQuery } from '../../api/types';
import { FeatureRows, pageSize } from './rows.svelte';

const line = (index: number) => ({ id: index }) as FeatureLine;

/** A server with 1,000 features whose id is their place. */
function server() {
  return {
    features: vi.fn((query?: FeatureQuery): Promise<FeaturePage> => {
      const offset = query?.offset ?? 0;
      const n = Math.min(query?.limit ?? 50, 1000 - offset);
      return Promise.resolve({
        total: 1000,
        offset,
        features: Array.from({ length: n }, (_, i) => line(offset + i)),
      });
    }),
  };
}

test('reads the pages of a range, each once', async () => {
  const api = server();
  const rows = new FeatureRows(api, { domains: 'terror' });
  await Promise.all([rows.load({ first: 90, end: 130 }), rows.load({ first: 95, end: 140 })]);
  await rows.load({ first: 0, end: 50 });
  expect(api.features).toHaveBeenCalledTimes(2);
  expect(api.features.mock.calls[0]?.[0]).toEqual({
    domains: 'terror',
    offset: 0,
    limit: pageSize,
  });
  expect(rows.total).toBe(1000);
  expect(rows.get(129)?.id).toBe(129);
  expect(rows.get(500)).toBeUndefined();
});

test('drops answers that come after it was closed', async () => {
  let answer: (page: FeaturePage) => void = () => undefined;
  const api = { features: () => new Promise<FeaturePage>((resolve) => (answer = resolve)) };
  const rows = new FeatureRows(api, {});
  const loading = rows.load({ first: 0, end: 1 });
  rows.close();
  answer({ total: 5, offset: 0, features: [line(0)] });
  await loading;
  expect(rows.total).toBe(0);
  expect(rows.get(0)).toBeUndefined();
});

test('says what failed, and tries a page again when asked', async () => {
  const api = server();
  api.features.mockRejectedValueOnce(new Error('busy'));
  const rows = new FeatureRows(api, {});
  await rows.load({ first: 0, end: 1 });
  expect(rows.error).toEqual(new Error('busy'));
  await rows.load({ first: 0, end: 1 });
  expect(rows.error).toBeNull();
  expect(rows.get(0)?.id).toBe(0);
});

test('keeps saying that a page failed while others come, until it comes too', async () => {
  const api = server();
  const rows = new FeatureRows(api, {});
  await rows.load({ first: 0, end: 1 });
  api.features.mockRejectedValueOnce(new Error('gone'));
  await rows.load({ first: 500, end: 501 });
  await rows.load({ first: 300, end: 301 });
  expect(rows.error).toEqual(new Error('gone'));
  await rows.retry();
  expect(rows.error).toBeNull();
  expect(rows.get(500)?.id).toBe(500);
});
