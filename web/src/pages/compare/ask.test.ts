import { expect, it } from 'vitest';
import { asWritten, compareRequest, isComplete, readAsk, requestKey, type Ask } from './ask';

const prompt = (label: string, text: string, entity = '', known = false) => ({
  label,
  text,
  entity,
  known,
});

const ask: Ask = {
  ...readAsk(new URLSearchParams()),
  prompts: [prompt('hi', 'हमला "x"?'), prompt('', 'Who is A?', 'A', true)],
};

it('comes back from the address', () => {
  expect(asWritten(ask)).toEqual(ask);
  const other: Ask = {
    mode: 'text',
    prompts: [],
    settings: { ...ask.settings, max: 128, seed: 4 },
    least: 0.25,
  };
  expect(asWritten(other)).toEqual(other);
});

it('takes only prompts from the address, and at most eight', () => {
  for (const prompts of ['{', '3', '{"a":1}', '[1,"x",null]'])
    expect(readAsk(new URLSearchParams({ prompts })).prompts).toEqual([]);
  const many = JSON.stringify(Array.from({ length: 20 }, () => [7, 'x']));
  expect(readAsk(new URLSearchParams({ prompts: many })).prompts).toEqual(
    Array.from({ length: 8 }, () => prompt('', 'x')),
  );
});

it('asks with messages or with plain text', () => {
  const settings = { ...ask.settings, system: 'S' };
  expect(compareRequest({ ...ask, settings })).toEqual({
    prompts: [
      {
        label: 'hi',
        messages: [
          { role: 'system', content: 'S' },
          { role: 'user', content: 'हमला "x"?' },
        ],
      },
      {
        label: '',
        messages: [
          { role: 'system', content: 'S' },
          { role: 'user', content: 'Who is A?' },
        ],
      },
    ],
    max_tokens: 48,
    temperature: 0,
    seed: 1,
  });
  expect(compareRequest({ ...ask, mode: 'text' }).prompts[0]).toEqual({
    label: 'hi',
    text: 'हमला "x"?',
  });
});

it('is asked anew for another text, not for another mark', () => {
  const marked = { ...ask, prompts: ask.prompts.map((p) => ({ ...p, known: !p.known })) };
  expect(requestKey({ ...marked, least: 0.5 })).toBe(requestKey(ask));
  const changed = { ...ask, prompts: ask.prompts.map((p) => ({ ...p, text: `${p.text}!` })) };
  expect(requestKey(changed)).not.toBe(requestKey(ask));
});

it('needs two prompts with text', () => {
  expect(isComplete(ask)).toBe(true);
  expect(isComplete({ ...ask, prompts: ask.prompts.slice(1) })).toBe(false);
  expect(isComplete({ ...ask, prompts: [...ask.prompts, prompt('c', ' ')] })).toBe(false);
});
