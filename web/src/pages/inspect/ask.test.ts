import { expect, it } from 'vitest';
import { withChanges } from '../../shell/router';
import { defaults } from '../../trace/settings';
import { askChanges, asWritten, chatRequest, readAsk, traceRequest, type Ask } from './ask';

it('comes back from the address', () => {
  const ask: Ask = {
    mode: 'trace',
    text: 'हमला & 袭击\n?',
    before: [
      { role: 'user', content: 'a "b"' },
      { role: 'assistant', content: '' },
    ],
    settings: {
      system: 'Be brief.',
      max: 0,
      temperature: 0.7,
      top_k: 40,
      top_p: 0.9,
      seed: 0,
      saes: ['mlp_out.1/topk-k8', 'mlp_out.2/topk-k8'],
      mask: true,
      unlisted: true,
    },
  };
  expect(asWritten(ask)).toEqual(ask);
});

it('has a short address where nothing is special', () => {
  const ask: Ask = { mode: 'chat', text: 'hello', before: [], settings: defaults };
  expect(withChanges(new URLSearchParams(), askChanges(ask)).toString()).toBe('q=hello');
  expect(asWritten(ask)).toEqual(ask);
});

it('takes only messages from the address', () => {
  for (const before of ['{', '7', '[1,null,{"role":"root","content":"x"},{"role":"user"}]'])
    expect(readAsk(new URLSearchParams({ before })).before).toEqual([]);
});

it('asks for what is set and no more', () => {
  const ask: Ask = { mode: 'chat', text: 'hello', before: [], settings: defaults };
  expect(chatRequest(ask)).toEqual({
    messages: [{ role: 'user', content: 'hello' }],
    max_tokens: 128,
    temperature: 0,
    seed: 1,
  });
  expect(traceRequest(ask)).toEqual({ text: 'hello' });
  const settings = { ...defaults, system: 'S', mask: true, saes: ['a'], top_k: 5, top_p: 0.5 };
  expect(chatRequest({ ...ask, settings })).toMatchObject({
    messages: [{ role: 'system', content: 'S' }, { role: 'user' }],
    mask_special: true,
    saes: ['a'],
    top_k: 5,
    top_p: 0.5,
  });
});
