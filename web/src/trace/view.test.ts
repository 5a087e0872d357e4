import { expect, it } from 'vitest';
import { withChanges } from '../shell/router';
import { byChanges, filterChanges, readView } from './view';

const back = (...changes: Parameters<typeof withChanges>[1][]) =>
  readView(changes.reduce<URLSearchParams>(withChanges, new URLSearchParams()));

it('comes back from the address', () => {
  const filter = { domains: ['politics', 'terror'], layer: 0, minScore: 0.25 };
  expect(back(filterChanges(filter), { token: 0, explained: 'zh' })).toEqual({
    pinned: 0,
    by: { kind: 'strongest' },
    filter,
    language: 'zh',
  });
  for (const by of [
    { kind: 'domain', domain: 'terror' } as const,
    { kind: 'feature', key: 'mlp_out.15/topk-k32:16' } as const,
  ])
    expect(back(byChanges({ kind: 'feature', key: 'x' }), byChanges(by)).by).toEqual(by);
});

it('takes nonsense for nothing', () => {
  expect(readView(new URLSearchParams('token=x&layer=&score=NaN&domains=,'))).toEqual({
    pinned: null,
    by: { kind: 'strongest' },
    filter: { domains: [], layer: null, minScore: null },
    language: null,
  });
});
