// A trace that grows while the answer is generated.

import type { ChatEvent, Token, Trace } from '../api/types';

/** The trace after one event of a chat; the old one stays as it was. */
export function grow(trace: Trace | null, { event, data }: ChatEvent): Trace | null {
  if (event === 'start') return { ...data, seconds: 0 };
  if (!trace) return null;
  if (event === 'token') {
    const token: Token = {
      role: 'assistant',
      part: 'response',
      special: false,
      features: [],
      ...data,
    };
    return { ...trace, text: trace.text + data.text, tokens: [...trace.tokens, token] };
  }
  if (event === 'features') {
    const firings = new Map(data.tokens.map(({ position, features }) => [position, features]));
    return {
      ...trace,
      features: [...trace.features, ...data.new],
      tokens: trace.tokens.map((token) => {
        const features = firings.get(token.position);
        return features ? { ...token, features } : token;
      }),
    };
  }
  if (event === 'end') return { ...trace, seconds: data.seconds };
  return trace;
}

/** The text of the answer, without the template around it. */
export function responseOf(trace: Trace): string {
  return trace.tokens
    .filter((token) => token.part === 'response' && !token.special)
    .map((token) => token.text)
    .join('');
}
