import { describe, expect, it, vi } from 'vitest';
import { ApiError, createApi, queryString } from './client';
import type { ChatEvent } from './types';

const open = { token: () => null, renew: () => Promise.resolve(null) };

const json = (body: unknown, status = 200, headers = {}) =>
  new Response(JSON.stringify(body), { status, headers });

const answering = (...answers: (Response | Error)[]) => {
  const fetcher = vi.fn<typeof fetch>();
  for (const answer of answers) {
    if (answer instanceof Error) fetcher.mockRejectedValueOnce(answer);
    else fetcher.mockResolvedValueOnce(answer);
  }
  return fetcher;
};

const failure = (code: string) => ({ error: { code, message: 'No.', remedy: 'Do this.' } });

describe('a request', () => {
  it('names what it asks for and leaves out what is undefined', async () => {
    const fetcher = answering(json({ total: 0, offset: 0, features: [] }));
    await createApi(open, '/v1', fetcher).features({ text: 'a&b ü', domains: undefined, limit: 5 });
    expect(fetcher.mock.calls[0]?.[0]).toBe('/v1/features?text=a%26b+%C3%BC&limit=5');
    expect(queryString({})).toBe('');
  });

  it('writes a feature by name into the path', async () => {
    const fetcher = answering(json({}));
    await createApi(open, '/v1', fetcher).feature('mlp_out.15:12', 'mlp_out.15/topk-k32');
    expect(fetcher.mock.calls[0]?.[0]).toBe(
      '/v1/features/mlp_out.15%3A12?sae=mlp_out.15%2Ftopk-k32',
    );
  });

  it('posts JSON', async () => {
    const fetcher = answering(json({}));
    await createApi(open, '/v1', fetcher).trace({ text: 'x', top_n: 3 });
    const init = fetcher.mock.calls[0]?.[1];
    expect(init?.method).toBe('POST');
    expect(new Headers(init?.headers).get('Content-Type')).toBe('application/json');
    expect(init?.body).toBe('{"text":"x","top_n":3}');
  });
});

describe('an error', () => {
  const fails = (answer: Response | Error) =>
    createApi(open, '/v1', answering(answer))
      .health()
      .then(
        () => null,
        (error: unknown) => error,
      );

  it('carries the sentence and the remedy', async () => {
    expect(await fails(json(failure('not_found'), 404))).toMatchObject({
      name: 'ApiError',
      status: 404,
      code: 'not_found',
      message: 'No.',
      remedy: 'Do this.',
      retryAfter: null,
    });
  });

  it('says when to come back', async () => {
    const busy = json(failure('busy'), 503, { 'Retry-After': '7' });
    expect(await fails(busy)).toMatchObject({ code: 'busy', retryAfter: 7 });
  });

  it('is made where the answer is no JSON', async () => {
    expect(await fails(new Response('<html>', { status: 502 }))).toMatchObject({
      status: 502,
      code: 'internal',
    });
  });

  it('tells an absent server from an ended request', async () => {
    expect(await fails(new TypeError('fetch failed'))).toMatchObject({ code: 'unreachable' });
    const ended = await fails(new DOMException('gone', 'AbortError'));
    expect(ended).not.toBeInstanceOf(ApiError);
  });
});

describe('the token', () => {
  it('is asked for on 401 and used from then on', async () => {
    let token: string | null = null;
    const access = {
      token: () => token,
      renew: vi.fn(() => Promise.resolve((token = 'secret'))),
    };
    const fetcher = answering(json(failure('unauthorized'), 401), json({}), json({}));
    const api = createApi(access, '/v1', fetcher);
    await api.health();
    await api.health();
    const sent = fetcher.mock.calls.map(([, init]) =>
      new Headers(init?.headers).get('Authorization'),
    );
    expect(sent).toEqual([null, 'Bearer secret', 'Bearer secret']);
    expect(access.renew).toHaveBeenCalledTimes(1);
  });

  it('is asked for again until it fits, or the visitor gives up', async () => {
    const answers = ['wrong', null];
    const access = { token: () => null, renew: () => Promise.resolve(answers.shift() ?? null) };
    const fetcher = answering(
      json(failure('unauthorized'), 401),
      json(failure('unauthorized'), 401),
    );
    await expect(createApi(access, '/v1', fetcher).health()).rejects.toMatchObject({
      code: 'unauthorized',
    });
    expect(fetcher).toHaveBeenCalledTimes(2);
  });
});

it('a chat yields its events', async () => {
  const stream = 'event: token\ndata: {"text":"a"}\n\nevent: end\ndata: {"reason":"stop"}\n\n';
  const api = createApi(open, '/v1', answering(new Response(stream)));
  const events: ChatEvent[] = [];
  for await (const event of api.chat({ messages: [] })) events.push(event);
  expect(events).toEqual([
    { event: 'token', data: { text: 'a' } },
    { event: 'end', data: { reason: 'stop' } },
  ]);
});
