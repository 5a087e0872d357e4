import { describe, expect, it } from 'vitest';
import type { Token, TraceFeature } from '../api/types';
import {
  explanationOf,
  keyOf,
  noFilter,
  passes,
  shownFirings,
  tintOf,
  tintsByLayer,
} from './firing';

const feature = (
  layer: number,
  index: number,
  domains: string[],
  score: number | null,
): TraceFeature => ({
  id: index,
  name: `mlp_out.${layer}:${index}`,
  sae: `mlp_out.${layer}/topk-k32`,
  site: `mlp_out.${layer}`,
  layer,
  index,
  explanation: {},
  score,
  domains,
  quantile: 1,
});

const features = [
  feature(3, 10, [], null),
  feature(3, 11, ['politics'], 0.2),
  feature(9, 12, ['terror', 'violence'], 0.6),
];

const token: Token = {
  position: 0,
  id: 7,
  text: 'x',
  start: 0,
  end: 1,
  role: 'user',
  part: 'query',
  special: false,
  features: [
    { feature: 1, activation: 2, normalised: 0.4 },
    { feature: 0, activation: 9, normalised: null },
    { feature: 2, activation: 3, normalised: 1.7 },
    { feature: 99, activation: 1, normalised: 1 },
  ],
};

const all = shownFirings(token, features, noFilter);

describe('firings', () => {
  it('fall, and leave out what the list does not have', () => {
    expect(all.map(({ of }) => of.index)).toEqual([12, 11, 10]);
  });

  it('pass by any of the domains, the layer and the score', () => {
    const passing = (filter: Partial<typeof noFilter>) =>
      features.filter((f) => passes(f, { ...noFilter, ...filter })).map((f) => f.index);
    expect(passing({ domains: ['violence', 'politics'] })).toEqual([11, 12]);
    expect(passing({ layer: 3 })).toEqual([10, 11]);
    expect(passing({ minScore: 0.2 })).toEqual([11, 12]);
    expect(passing({ minScore: 0.2, layer: 9, domains: ['terror'] })).toEqual([12]);
  });
});

describe('tint', () => {
  it('is that of the strongest, never above 1', () => {
    expect(tintOf(all, { kind: 'strongest' })).toMatchObject({ domain: 'terror', strength: 1 });
  });

  it('is that of a chosen domain', () => {
    expect(tintOf(all, { kind: 'domain', domain: 'violence' })).toMatchObject({
      domain: 'violence',
      firing: { of: { index: 12 } },
    });
    expect(tintOf(all, { kind: 'domain', domain: 'pornography' })).toBeNull();
  });

  it('is that of a chosen feature', () => {
    const key = keyOf(features[1]!);
    expect(tintOf(all, { kind: 'feature', key })).toMatchObject({
      domain: 'politics',
      strength: 0.4,
    });
  });

  it('is nothing without firings, and faint where there is no quantile', () => {
    expect(tintOf([], { kind: 'strongest' })).toBeNull();
    expect(tintOf(all.slice(2), { kind: 'strongest' })).toMatchObject({
      domain: null,
      strength: 0,
    });
  });

  it('is kept a layer', () => {
    const tints = tintsByLayer(all, { kind: 'strongest' });
    expect([...tints].map(([layer, { firing }]) => [layer, firing.of.index])).toEqual([
      [9, 12],
      [3, 11],
    ]);
  });
});

it('explains in the wanted language, else in any', () => {
  const explained = { ...features[0]!, explanation: { en: 'votes', zh: '投票' } };
  expect(explanationOf(explained, 'zh')).toBe('投票');
  expect(explanationOf(explained, 'hi')).toBe('votes');
  expect(explanationOf(features[0]!, 'en')).toBeNull();
});
