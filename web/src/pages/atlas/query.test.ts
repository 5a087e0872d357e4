import { expect, test } from 'vitest';
import { acrossDomains, toQuery } from './query';

const query = (text: string) => {
  const all = toQuery(new URLSearchParams(text));
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
};

test('reads every filter', () => {
  expect(
    query(
      'text=war&domains=violence,terror&subclass=insult&sae=s/topk&site=mlp_out.7&layer=7&min_score=0.2&max_score=0.9&min_density=0.1&max_density=5&explained=yes&sufficient=no&order=effect&ascending=yes',
    ),
  ).toEqual({
    text: 'war',
    domains: 'violence,terror',
    subclass: 'insult',
    sae: 's/topk',
    site: 'mlp_out.7',
    layer: 7,
    min_score: 0.2,
    max_score: 0.9,
    min_density: 0.001,
    max_density: 0.05,
    explained: true,
    sufficient: false,
    order: 'effect',
    ascending: true,
  });
});

test('leaves out what makes no sense', () => {
  expect(query('layer=x&min_score=&explained=maybe&order=beauty&text=%20')).toEqual({
    order: 'score',
  });
});

test('a search is sorted by relevance unless told otherwise', () => {
  expect(query('text=war')['order']).toBe('relevance');
  expect(query('text=war&order=score')['order']).toBe('score');
});

test('layer 0 is a layer', () => {
  expect(query('layer=0')['layer']).toBe(0);
});

test('counts across domains keep the other filters', () => {
  const all = acrossDomains(toQuery(new URLSearchParams('domains=terror&layer=7&order=place')));
  expect(all.domains).toBeUndefined();
  expect(all.order).toBeUndefined();
  expect(all.layer).toBe(7);
});
