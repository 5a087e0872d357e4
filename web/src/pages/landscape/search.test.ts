import { expect, test, vi } from 'vitest';
import type { FeatureLine, FeatureQuery } from '../../api/types';
import { findAll } from './search';

/** A server in which `total` features match, their ids their places. */
const server = (total: number, given = total) => ({
  features: vi.fn((query?: FeatureQuery) => {
    const offset = query?.offset ?? 0;
    const n = Math.max(0, Math.min(query?.limit ?? 50, given - offset));
    const features = Array.from({ length: n }, (_, i) => ({ id: offset + i }) as FeatureLine);
    return Promise.resolve({ total, offset, features });
  }),
});
const { signal } = new AbortController();

test('reads all pages, and one where nothing is found', async () => {
  const api = server(1234);
  const found = await findAll(api, 'war', signal);
  expect(found.ids).toEqual([...Array(1234).keys()]);
  expect(api.features).toHaveBeenCalledTimes(3);
  expect(await findAll(server(0), 'war', signal)).toEqual({ total: 0, ids: [] });
});

test('stops at the limit and still tells how many there are', async () => {
  const found = await findAll(server(9000), 'war', signal, 1200);
  expect(found.total).toBe(9000);
  expect(found.ids.length).toBe(1200);
});

test('does not ask for ever when the server has fewer than it said', async () => {
  expect((await findAll(server(900, 700), 'war', signal)).ids.length).toBe(700);
});
