import { expect, it } from 'vitest';
import type { Trace } from '../api/types';
import { noFilter } from './firing';
import { figureSvg } from './figure';
import { stripOf } from './strip';

const feature = (layer: number, domains: string[]) => ({
  id: null,
  name: `mlp_out.${layer}:1`,
  sae: `mlp_out.${layer}/topk-k8`,
  site: `mlp_out.${layer}`,
  layer,
  index: 1,
  explanation: {},
  score: null,
  domains,
  quantile: 1,
});

const token = (position: number, features: [number, number][]) => ({
  position,
  id: 0,
  text: '<a&b>',
  start: position,
  end: position + 1,
  role: 'user' as const,
  part: 'query' as const,
  special: false,
  features: features.map(([i, value]) => ({ feature: i, activation: value, normalised: value })),
});

const trace: Trace = {
  model: 'm',
  text: 'ab',
  seconds: 0,
  features: [feature(2, ['terror']), feature(20, []), feature(11, ['politics'])],
  tokens: [
    token(0, [
      [0, 0.5],
      [1, 0.9],
    ]),
    token(1, [[2, 1]]),
  ],
};

const strip = stripOf(trace, noFilter, { kind: 'strongest' });

it('lays layers over tokens, the highest first', () => {
  expect(strip.layers).toEqual([20, 11, 2]);
  expect(strip.cells.map(({ row, column, tint }) => [row, column, tint.strength])).toEqual([
    [0, 0, 0.9],
    [2, 0, 0.5],
    [1, 1, 1],
  ]);
});

it('is well-formed whatever the tokens hold', () => {
  const style = {
    ink: '#000',
    muted: '#555',
    ground: '#fff',
    line: '#ccc',
    domain: (domain: string | null) => (domain === 'terror' ? '#f00' : '#0f0'),
    layer: 'Layer',
    domainName: (domain: string | null) => domain ?? 'none',
  };
  const svg = figureSvg(strip, ['<a&b>"', 'x\u0000y'], style);
  expect(svg).toContain('&lt;a&amp;b&gt;&quot;');
  expect(svg).toContain('x y');
  expect(svg.match(/<rect [^>]*fill-opacity/g)).toHaveLength(3);
  expect(svg.match(/fill="#f00" fill-opacity="0.590"/g)).toHaveLength(1);
});
