import { expect, it } from 'vitest';
import type { ChatEvent, Trace } from '../api/types';
import { grow, responseOf } from './live';

const feature = (index: number) => ({
  id: index,
  name: `mlp_out.1:${index}`,
  sae: 'mlp_out.1/topk-k8',
  site: 'mlp_out.1',
  layer: 1,
  index,
  explanation: {},
  score: null,
  domains: [],
  quantile: null,
});

const events: ChatEvent[] = [
  { event: 'queued', data: { position: 2 } },
  {
    event: 'start',
    data: {
      model: 'm',
      text: 'Hi',
      features: [feature(5)],
      tokens: [
        {
          position: 0,
          id: 1,
          text: 'Hi',
          start: 0,
          end: 2,
          role: 'user',
          part: 'query',
          special: false,
          features: [{ feature: 0, activation: 1, normalised: null }],
        },
      ],
    },
  },
  { event: 'token', data: { position: 1, id: 8, text: ' you', start: 2, end: 6 } },
  { event: 'token', data: { position: 2, id: 9, text: '!', start: 6, end: 7 } },
  {
    event: 'features',
    data: {
      new: [feature(6)],
      tokens: [{ position: 1, features: [{ feature: 1, activation: 3, normalised: 0.5 }] }],
    },
  },
  { event: 'end', data: { reason: 'stop', n_prompt: 1, n_new: 2, seconds: 0.25 } },
];

it('grows token by token and takes features when they come', () => {
  const after = events.reduce<Trace | null>(grow, null);
  expect(after?.text).toBe('Hi you!');
  expect(after?.features.map((f) => f.index)).toEqual([5, 6]);
  expect(after?.tokens.map((token) => token.features.length)).toEqual([1, 1, 0]);
  expect(after?.tokens[1]).toMatchObject({ part: 'response', role: 'assistant' });
  expect(after?.seconds).toBe(0.25);
  expect(after && responseOf(after)).toBe(' you!');
});

it('leaves the trace before an event as it was', () => {
  const before = grow(null, events[1]!)!;
  grow(before, events[2]!);
  expect(before.tokens).toHaveLength(1);
});
