import { expect, it } from 'vitest';
import { noFilter } from '../../trace/firing';
import type { Comparison } from '../../api/types';
import {
  differenceOf,
  partIn,
  rowsOf,
  sortIn,
  spreadOf,
  statisticIn,
  tableCsv,
  tableOf,
  type Row,
} from './table';

const feature = (index: number, score: number | null, values: (number | null)[]): Row => ({
  id: index,
  name: `mlp_out.${index}:${index}`,
  sae: `mlp_out.${index}/topk-k8`,
  site: `mlp_out.${index}`,
  layer: index,
  index,
  explanation: { en: 'x' },
  score,
  domains: index === 2 ? ['terror'] : [],
  quantile: 1,
  expected_max: values,
  max: values.map((value) => value && value * 2),
  max_position: values.map(() => 0),
  values,
});

const features = [
  feature(1, 0.5, [0.1, 0.9]),
  feature(2, null, [0.8, 0.2]),
  feature(3, -0.1, [0.4, null]),
];

const order = (...[sort, filter = noFilter]: [string, typeof noFilter?]) =>
  tableOf(features, filter, sortIn(new URLSearchParams(sort))).map(({ index }) => index);

it('sorts by the spread, a prompt, the score or the layer', () => {
  expect(order('')).toEqual([1, 2, 3]);
  expect(order('sort=0')).toEqual([2, 3, 1]);
  expect(order('sort=1&rising')).toEqual([3, 2, 1]);
  expect(order('sort=score')).toEqual([1, 3, 2]);
  expect(order('sort=layer')).toEqual([3, 2, 1]);
  expect(order('sort=nonsense')).toEqual([1, 2, 3]);
});

it('keeps to the filter', () => {
  expect(order('', { ...noFilter, domains: ['terror'] })).toEqual([2]);
});

it('gives the difference of two prompts a sign', () => {
  expect(features.map(differenceOf).map((d) => d?.toFixed(1))).toEqual(['0.8', '-0.6', undefined]);
  expect(differenceOf(feature(4, 0, [0.2, 0.9, 0.5]))).toBeCloseTo(0.7);
  expect(spreadOf(feature(5, 0, [null, null]))).toBe(0);
});

it('compares the part and by the statistic of the address', () => {
  const part = (n_drawn: number) => ({
    n_tokens: [n_drawn, n_drawn],
    n_drawn,
    features: [feature(n_drawn, 0, [0.25, 0.5])],
    domains_by_layer: [],
  });
  const comparison: Comparison = { traces: [], question: part(3), answer: part(7) };
  const of = (query: string, answered = true) =>
    partIn(new URLSearchParams(query), answered ? comparison : { ...comparison, answer: null })
      .n_drawn;
  expect(of('')).toBe(3);
  expect(of('part=answer')).toBe(7);
  expect(of('part=answer', false)).toBe(3);
  const values = (query: string) =>
    rowsOf(comparison.question, statisticIn(new URLSearchParams(query)))[0]?.values;
  expect(values('')).toEqual([0.25, 0.5]);
  expect(values('statistic=max')).toEqual([0.5, 1]);
});

it('is saved with a column a prompt', () => {
  expect(tableCsv(features.slice(0, 1), ['en', 'a,b'], 'en')).toBe(
    'sae,layer,feature,score,domains,explanation,en,"a,b",spread\r\n' +
      'mlp_out.1/topk-k8,1,1,0.5,,x,0.1,0.9,0.8\r\n',
  );
});
