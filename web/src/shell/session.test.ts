import { beforeEach, expect, it, vi } from 'vitest';

const storage = new Map<string, string>();
vi.stubGlobal('sessionStorage', {
  getItem: (name: string) => storage.get(name) ?? null,
  setItem: (name: string, value: string) => storage.set(name, value),
  removeItem: (name: string) => storage.delete(name),
});

/** A server that answers to 'right' alone; what it answers waits until it is let go. */
function server() {
  const waiting: (() => void)[] = [];
  const sent: (string | null)[] = [];
  vi.stubGlobal('fetch', (_: string, init: RequestInit) => {
    const token = new Headers(init.headers).get('Authorization');
    sent.push(token);
    return new Promise<Response>((resolve) =>
      waiting.push(() =>
        resolve(new Response('{}', { status: token === 'Bearer right' ? 200 : 401 })),
      ),
    );
  });
  const settle = () => new Promise((resolve) => setTimeout(resolve));
  return { sent, answerOne: () => (waiting.shift()?.(), settle()) };
}

beforeEach(() => {
  storage.clear();
  vi.resetModules();
});

it('keeps a token that was given while an older request was refused', async () => {
  const { sent, answerOne } = server();
  const { api, tokenPrompt } = await import('./session.svelte');
  const first = api.health();
  const late = api.models();
  await answerOne();
  expect(tokenPrompt.open).toBe(true);
  tokenPrompt.answer('right');
  await Promise.resolve();
  await answerOne(); // the 401 of the late one
  expect(storage.get('safesail.token')).toBe('right');
  expect(tokenPrompt.open).toBe(false);
  await answerOne();
  await answerOne();
  await Promise.all([first, late]);
  expect(sent).toEqual([null, null, 'Bearer right', 'Bearer right']);
});

it('asks again where the kept token itself is refused', async () => {
  const { answerOne } = server();
  storage.set('safesail.token', 'wrong');
  const { api, tokenPrompt } = await import('./session.svelte');
  const health = api.health();
  await answerOne();
  expect(tokenPrompt.open).toBe(true);
  expect(tokenPrompt.refused).toBe(true);
  tokenPrompt.answer('right');
  await Promise.resolve();
  await answerOne();
  await health;
});
