import { expect, test } from 'vitest';
import type { Exemplar, Explanation, Score } from '../../api/types';
import { baselineOf, byExplainer, groupExemplars, verdict } from './group';

const explanation = (part: Partial<Explanation>): Explanation => ({
  explainer: 'llm',
  model: 'm',
  language: 'en',
  prompt_hash: '',
  seed: 0,
  status: 'ok',
  text: '',
  long_text: '',
  raw: '',
  cost: null,
  scores: [],
  ...part,
});

const score = (part: Partial<Score>) =>
  ({ scorer: 'segment', simulator: 's', prompt_hash: 'p', seed: 0, ...part }) as Score;

test('languages of one explanation stand together, the baseline comes last', () => {
  const groups = byExplainer([
    explanation({ explainer: 'lexical', model: '' }),
    explanation({ explainer: 'lexical', model: '', language: 'zh' }),
    explanation({ prompt_hash: 'a' }),
    explanation({ prompt_hash: 'b', language: 'zh' }),
    explanation({ prompt_hash: 'c' }),
  ]);
  expect(groups.map(({ versions }) => versions.map(({ at }) => at))).toEqual([[2, 3], [4], [0, 1]]);
});

test('the baseline is of the same scorer, simulator, questions and language, or there is none', () => {
  const all = [
    explanation({
      explainer: 'lexical',
      scores: [
        score({ scorer: 'token', value: 0.9 }),
        score({ simulator: 'lexical', value: 0.3 }),
        score({ value: 0.4 }),
      ],
    }),
    explanation({ explainer: 'lexical', language: 'zh', scores: [score({ value: 0.7 })] }),
    explanation({ scores: [score({ value: 0.8 })] }),
  ];
  const found = (part: Partial<Score>, language = 'en') =>
    baselineOf({ score: score(part), language }, all)?.value ?? null;
  expect(found({})).toBe(0.4);
  expect(found({}, 'zh')).toBe(0.7);
  expect(found({}, 'hi')).toBeNull();
  expect(found({ simulator: 'other' })).toBeNull();
  expect(found({ scorer: 'fuzzing' })).toBeNull();
  expect(found({ prompt_hash: 'other' })).toBeNull();
});

test('a verdict needs two intervals that lie apart', () => {
  const of = (low: number | null, high: number | null) => score({ low, high });
  expect(verdict(of(0.5, 0.7), of(0.2, 0.4))).toBe('above');
  expect(verdict(of(0.5, 0.7), of(0.2, 0.55))).toBe('level');
  expect(verdict(of(0.1, 0.2), of(0.3, 0.4))).toBe('below');
  expect(verdict(of(null, null), of(0.2, 0.4))).toBeNull();
  expect(verdict(of(0.5, 0.7), of(null, null))).toBeNull();
  expect(verdict(of(0.5, 0.7), null)).toBeNull();
});

test('the difference of paired answers tells more than two intervals', () => {
  const less = (low: number | null, high: number | null) =>
    score({ low: 0.5, high: 0.7, above_baseline: { value: 0.1, interval: [low, high] } });
  const baseline = score({ low: 0.4, high: 0.6 });
  expect(verdict(less(0.02, 0.2), baseline)).toBe('above');
  expect(verdict(less(-0.02, 0.2), baseline)).toBe('level');
  expect(verdict(less(-0.3, -0.1), null)).toBe('below');
  expect(verdict(less(null, null), score({ low: 0.1, high: 0.2 }))).toBeNull();
});

const exemplar = (part: Partial<Exemplar>, at: number) => ({
  at,
  exemplar: { use: 'explain', kind: 'level', level: 0, activation: [], ...part } as Exemplar,
});

test('levels fall, silent kinds follow, the strongest leads its group', () => {
  const all = [
    exemplar({ level: 2, activation: [0.1] }, 0),
    exemplar({ level: 10, kind: 'top', activation: [3] }, 1),
    exemplar({ kind: 'hard_token' }, 2),
    exemplar({ level: 2, activation: [0, 0.2] }, 3),
    exemplar({ kind: 'silent', use: 'test' }, 4),
  ];
  const shape = (by: 'level' | 'kind' | 'use') =>
    groupExemplars(all, by).map(({ name, members }) => [name, members.map(({ at }) => at)]);
  expect(shape('level')).toEqual([
    ['10', [1]],
    ['2', [3, 0]],
    ['silent', [4]],
    ['hard_token', [2]],
  ]);
  expect(shape('kind').map(([name]) => name)).toEqual(['top', 'level', 'silent', 'hard_token']);
  expect(shape('use')).toEqual([
    ['explain', [1, 3, 0, 2]],
    ['test', [4]],
  ]);
});
