// Everything the page asks of the server. Knows nothing of the page: what it needs from a visitor
// (the access token) it asks through `Access`.

import { readEvents } from './sse';
import type {
  ChatEvent,
  ChatRequest,
  CompareRequest,
  Comparison,
  ErrorBody,
  ExplanationPrompt,
  FeatureEntry,
  FeaturePage,
  FeatureQuery,
  Health,
  Landscape,
  Model,
  Run,
  Sae,
  Stats,
  Trace,
  TraceRequest,
} from './types';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: ErrorBody['code'] | 'unreachable',
    message: string,
    readonly remedy: string,
    readonly retryAfter: number | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

export interface Access {
  token(): string | null;
  /** Called on 401 of a request that brought `refused`; the token to try next, or null to give up. */
  renew(refused: string | null): Promise<string | null>;
}

export interface Api {
  health(signal?: AbortSignal): Promise<Health>;
  models(signal?: AbortSignal): Promise<Model[]>;
  saes(signal?: AbortSignal): Promise<Sae[]>;
  stats(query?: FeatureQuery, signal?: AbortSignal): Promise<Stats>;
  features(query?: FeatureQuery, signal?: AbortSignal): Promise<FeaturePage>;
  /** By id, or by name (`mlp_out.15:1234`) with the SAE where several read that site. */
  feature(id: number | string, sae?: string, signal?: AbortSignal): Promise<FeatureEntry>;
  explanationPrompt(
    id: number,
    explanation: number,
    signal?: AbortSignal,
  ): Promise<ExplanationPrompt>;
  landscape(signal?: AbortSignal): Promise<Landscape>;
  run(signal?: AbortSignal): Promise<Run>;
  trace(request: TraceRequest, signal?: AbortSignal): Promise<Trace>;
  compare(request: CompareRequest, signal?: AbortSignal): Promise<Comparison>;
  chat(request: ChatRequest, signal?: AbortSignal): AsyncGenerator<ChatEvent>;
}

type Parameters = Record<string, string | number | boolean | undefined>;

export function queryString(parameters: Parameters): string {
  const pairs = Object.entries(parameters).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)]));
  return pairs.length > 0 ? `?${search}` : '';
}

async function toError(response: Response): Promise<ApiError> {
  const seconds = Number(response.headers.get('Retry-After') ?? NaN);
  const body = (await response.json().catch(() => null)) as { error?: ErrorBody } | null;
  return new ApiError(
    response.status,
    body?.error?.code ?? 'internal',
    body?.error?.message ?? `The server answered ${response.status}.`,
    body?.error?.remedy ?? '',
    Number.isFinite(seconds) ? seconds : null,
  );
}

export function createApi(access: Access, base = 'api/v1', fetcher: typeof fetch = fetch): Api {
  async function send(path: string, init: RequestInit, token: string | null): Promise<Response> {
    const headers = new Headers(init.headers);
    if (token) headers.set('Authorization', `Bearer ${token}`);
    try {
      return await fetcher(`${base}${path}`, { ...init, headers });
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') throw error;
      throw new ApiError(0, 'unreachable', 'The server does not answer.', '');
    }
  }

  async function request(path: string, init: RequestInit): Promise<Response> {
    let token = access.token();
    let response = await send(path, init, token);
    while (response.status === 401) {
      token = await access.renew(token);
      if (token === null) break;
      response = await send(path, init, token);
    }
    if (!response.ok) throw await toError(response);
    return response;
  }

  async function get<T>(path: string, signal?: AbortSignal, parameters: Parameters = {}) {
    const response = await request(path + queryString(parameters), { signal: signal ?? null });
    return (await response.json()) as T;
  }

  const post = (path: string, body: unknown, signal?: AbortSignal) =>
    request(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      signal: signal ?? null,
    });

  async function* chat(body: ChatRequest, signal?: AbortSignal): AsyncGenerator<ChatEvent> {
    const response = await post('/chat', body, signal);
    if (!response.body) throw new ApiError(0, 'unreachable', 'The answer has no body.', '');
    for await (const { event, data } of readEvents(response.body))
      yield { event, data: JSON.parse(data) as unknown } as ChatEvent;
  }

  return {
    health: (signal) => get('/health', signal),
    models: async (signal) => (await get<{ models: Model[] }>('/models', signal)).models,
    saes: async (signal) => (await get<{ saes: Sae[] }>('/saes', signal)).saes,
    stats: (query, signal) => get('/stats', signal, { ...query }),
    features: (query, signal) => get('/features', signal, { ...query }),
    feature: (id, sae, signal) =>
      get(`/features/${encodeURIComponent(String(id))}`, signal, { sae }),
    explanationPrompt: (id, explanation, signal) =>
      get(`/features/${id}/prompt`, signal, { explanation }),
    landscape: (signal) => get('/landscape', signal),
    run: (signal) => get('/runs', signal),
    trace: async (body, signal) => (await (await post('/trace', body, signal)).json()) as Trace,
    compare: async (body, signal) =>
      (await (await post('/compare', body, signal)).json()) as Comparison,
    chat,
  };
}
