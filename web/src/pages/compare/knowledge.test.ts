import { describe, expect, it } from 'vitest';
import type { Token, Trace, TraceFeature } from '../../api/types';
import {
  association,
  countsOf,
  entityPositions,
  entityRows,
  findingOf,
  type Row,
} from './knowledge';

const feature = (index: number, quantile: number | null = 1): TraceFeature => ({
  id: index,
  name: `mlp_out.1:${index}`,
  sae: 'mlp_out.1/topk-k8',
  site: 'mlp_out.1',
  layer: 1,
  index,
  explanation: {},
  score: null,
  domains: [],
  quantile,
});

function traceOf(
  features: TraceFeature[],
  ...words: [string, Token['role'], [number, number | null][]][]
): Trace {
  let at = 0;
  const bytes = (text: string) => new TextEncoder().encode(text).length;
  const tokens = words.map(([text, role, firings], position) => ({
    position,
    id: 0,
    text,
    start: at,
    end: (at += bytes(text)),
    role,
    part: role === 'assistant' ? ('response' as const) : ('query' as const),
    special: false,
    features: firings.map(([i, value]) => ({ feature: i, activation: 9, normalised: value })),
  }));
  const text = words.map(([word]) => word).join('');
  return { model: 'm', text, features, tokens, seconds: 0 };
}

const asked = traceOf(
  [feature(1), feature(2)],
  ['Who is ', 'user', [[1, 0.9]]],
  ['Çhur', 'user', [[0, 0.2]]],
  ['chill?', 'user', [[0, 0.7]]],
  ['Çhurchill', 'assistant', [[1, 1]]],
);

it('finds the tokens that hold part of the entity, in the question only', () => {
  expect(entityPositions(asked, 'Çhurchill')).toEqual([1, 2]);
  expect(entityPositions(asked, 'Lincoln')).toEqual([]);
  expect(entityPositions(asked, '')).toEqual([]);
});

it('finds all tokens of a last character that several share, and the first place of two', () => {
  const shared = traceOf([], ['of ', 'user', []], ['袭', 'user', []], ['', 'user', []]);
  expect(entityPositions(shared, '袭')).toEqual([1, 2]);
  const twice = traceOf([], ['Ada', 'user', []], [' and ', 'user', []], ['Ada', 'user', []]);
  expect(entityPositions(twice, 'Ada')).toEqual([0]);
});

it('reads an entity at its last token, aligned over traces whose lists differ', () => {
  const other = traceOf([feature(2), feature(1)], ['Lincoln', 'user', [[1, 0.4]]]);
  const { rows } = entityRows([asked, other], ['Çhurchill', 'Lincoln']);
  expect(rows.map((row) => [row.feature.index, row.strength])).toEqual([[1, [0.7, 0.4]]]);
  // More tokens are no more chances: what fires inside of a name alone is silent on it.
  const inside = traceOf([feature(1)], ['Zorb', 'user', [[0, 0.9]]], ['lax', 'user', []]);
  expect(entityRows([inside], ['Zorblax']).rows).toEqual([]);
});

it('leaves out what has no scale, and counts it', () => {
  const raw = traceOf(
    [feature(1, null), feature(2)],
    [
      'Ada',
      'user',
      [
        [0, null],
        [1, 0.3],
      ],
    ],
  );
  const { rows, n_unknown } = entityRows([raw], ['Ada']);
  expect(rows.map((row) => [row.feature.index, row.strength])).toEqual([[2, [0.3]]]);
  expect(n_unknown).toBe(1);
});

describe('association', () => {
  const of = (fires: string, known: string) =>
    association(
      countsOf(
        [...fires].map((c) => c === '1'),
        [...known].map((c) => c === '1'),
      ),
    );

  it('is 1 where they go together, -1 where they exclude each other', () => {
    expect(of('1100', '1100')).toBe(1);
    expect(of('0011', '1100')).toBe(-1);
  });

  it('is 0 where they do not, or where one never changes', () => {
    expect(of('1010', '1100')).toBe(0);
    expect(of('1111', '1100')).toBe(0);
    expect(of('1100', '1111')).toBe(0);
  });

  it('is that of the four counts', () => {
    expect(of('1110', '1100')).toBeCloseTo(1 / Math.sqrt(3));
  });
});

describe('the finding', () => {
  const row = (index: number, ...strength: number[]): Row => ({
    feature: feature(index),
    strength,
  });
  const known = [true, true, true, true, false, false, false, false];

  it('puts a feature that tells known from unknown first', () => {
    const rows = [row(1, 1, 1, 0, 0, 1, 1, 0, 0), row(2, 0.9, 0.8, 0.9, 0.7, 0, 0.1, 0, 0)];
    const { rows: judged, chance } = findingOf(rows, known, 0.2);
    expect(judged.map((r) => [r.feature.index, r.association])).toEqual([
      [2, 1],
      [1, 0],
    ]);
    expect(judged[0]?.counts).toEqual({
      knownFires: 4,
      knownSilent: 0,
      unknownFires: 0,
      unknownSilent: 4,
    });
    // Of the 70 ways to mark four of eight, each of the two features fits one.
    expect(chance).toBeCloseTo(2 / 70);
  });

  it('is worth nothing when features fit whatever the marks are', () => {
    const rows = Array.from({ length: 256 }, (_, bits) =>
      row(bits, ...known.map((_, i) => (bits >> i) & 1)),
    );
    expect(findingOf(rows, known, 0).chance).toBe(1);
  });

  it('copes without features or without marks', () => {
    expect(findingOf([], known, 0)).toEqual({ rows: [], chance: 1 });
    expect(findingOf([row(1, 1, 0)], [true, true], 0).chance).toBe(1);
  });
});
