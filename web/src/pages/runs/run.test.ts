import { expect, test } from 'vitest';
import type { Run, RunCell, SelectionMetric } from '../../api/types';
import { excess, frontier, measure, styles, thresholdCurves, trainingCurves } from './run';

const interval = (value: number | null) => ({ value, low: null, high: null });

const cell = (architecture: string, k: number, part: Partial<RunCell> = {}): RunCell => ({
  sae: `mlp_out.7/${architecture}-k${k}`,
  site: 'mlp_out.7',
  layer: 7,
  architecture,
  k,
  n_features: 64,
  seed: 0,
  fvu: { value: 1 / k, low: 0.9 / k, high: 1.1 / k },
  l0: interval(k),
  delta_ce: interval(0.1),
  kl: interval(null),
  loss_recovered: interval(0.9),
  dead_share: 0.25,
  ...part,
});

const metric = (sae: string, concept: string, value: number, chance: number): SelectionMetric => ({
  sae,
  concept,
  language: 'en',
  n_pairs: 20,
  p: 0.5,
  i_cdf: interval(value / 100),
  null: interval(chance / 100),
  reverse: interval(0),
  n_accepted: 2,
  l0t: [0.1, 0.2].map((t) => ({
    t,
    value: value * (t === 0.2 ? 1 : 2),
    low: -3,
    high: 9,
    null: chance,
    null_low: 0,
    null_high: chance + 1,
  })),
});

const sae = 'mlp_out.7/topk-k32';
const run: Run = {
  name: 'demo',
  cells: [cell('topk', 32), cell('topk', 16), cell('jumprelu', 16)],
  selection: {
    chosen: { architecture: 'topk', k: 32, n_features: 64, seed: 0 },
    reason: '',
    precision: null,
    floor: null,
    ranking: [],
    concepts: [],
    metrics: [
      metric(sae, 'terror/weapons', 10, 4),
      metric(sae, 'terror/terrorism', 6, 4),
      metric(sae, 'terror', 1000, 0),
    ],
  },
  curves: [{ sae, tokens: [1, 2], loss: [0.5, 0.4], fvu: [0.6, 0.5], l0: [32, 32] }],
};

test('the frontier runs from sparse to dense and marks the recommended', () => {
  const [topk, jumprelu] = frontier(run, 'mlp_out.7', 'fvu', 0.2);
  expect(topk?.points.map(({ x, y, mark }) => [x, y, mark])).toEqual([
    [16, 1 / 16, false],
    [32, 1 / 32, true],
  ]);
  expect(topk?.points[1]?.low).toBe(0.9 / 32);
  expect(jumprelu?.colour).not.toBe(topk?.colour);
  expect(frontier(run, 'mlp_out.9', 'fvu', 0.2).flatMap(({ points }) => points)).toEqual([]);
});

test('what is beyond the null is a mean over subclasses, not over domains', () => {
  expect(excess(run.selection?.metrics ?? [], sae, 0.2)).toBe(4);
  expect(excess(run.selection?.metrics ?? [], sae, 0.1)).toBe(12);
  expect(excess([], sae, 0.2)).toBeNaN();
});

test('each measure of a cell', () => {
  const of = (what: Parameters<typeof measure>[2]) => measure(run, cell('topk', 32), what, 0.2).y;
  expect(of('delta_ce')).toBe(0.1);
  expect(of('kl')).toBeNaN();
  expect(of('dead')).toBe(0.25);
  expect(of('i_cdf')).toBeCloseTo(0.04);
  expect(of('accepted')).toBe(6);
});

test('curves of the SAEs that have one', () => {
  const curves = trainingCurves(run, 'mlp_out.7', 'loss');
  expect(curves.map(({ id }) => id)).toEqual([sae]);
  expect(curves[0]?.points).toEqual([
    { x: 1, y: 0.5 },
    { x: 2, y: 0.4 },
  ]);
});

test('a count does not reach below zero', () => {
  const [chance, value] = thresholdCurves(metric(sae, 'a/b', 5, 2), ['value', 'null']);
  expect(chance?.band).toBe(true);
  expect(value?.points[0]?.low).toBe(0);
  expect(value?.points[0]?.high).toBe(9);
});

test('architectures keep their style whatever is shown', () => {
  expect([...styles(run).keys()]).toEqual(['topk', 'jumprelu']);
});
