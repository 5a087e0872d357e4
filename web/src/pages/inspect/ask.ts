// What is asked of the model, as the address has it.

import type { ChatRequest, Message, TraceRequest } from '../../api/types';
import type { Changes } from '../../shell/router';
import { listIn, numberIn } from '../../trace/view';

export interface Settings {
  system: string;
  max: number;
  temperature: number;
  top_k: number;
  top_p: number;
  seed: number;
  saes: string[];
  mask: boolean;
  unlisted: boolean;
}

export interface Ask {
  mode: 'chat' | 'trace';
  text: string;
  /** The turns before this one. */
  before: Message[];
  settings: Settings;
}

// Greedy: the same link gives the same answer.
export const defaults: Settings = {
  system: '',
  max: 128,
  temperature: 0,
  top_k: 0,
  top_p: 1,
  seed: 1,
  saes: [],
  mask: false,
  unlisted: false,
};

const roles = ['system', 'user', 'assistant'];

function messagesIn(text: string | null): Message[] {
  if (!text) return [];
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value)) return [];
    return value.filter(
      (message: Partial<Message> | null): message is Message =>
        typeof message?.content === 'string' && roles.includes(message.role ?? ''),
    );
  } catch {
    return [];
  }
}

export function readSettings(query: URLSearchParams): Settings {
  return {
    system: query.get('system') ?? defaults.system,
    max: numberIn(query, 'max') ?? defaults.max,
    temperature: numberIn(query, 'temperature') ?? defaults.temperature,
    top_k: numberIn(query, 'top_k') ?? defaults.top_k,
    top_p: numberIn(query, 'top_p') ?? defaults.top_p,
    seed: numberIn(query, 'seed') ?? defaults.seed,
    saes: listIn(query, 'saes'),
    mask: query.has('mask'),
    unlisted: query.has('unlisted'),
  };
}

export function settingsChanges(settings: Settings): Changes {
  const changes: Changes = { saes: settings.saes.join(',') };
  for (const [name, value] of Object.entries(settings))
    if (name !== 'saes') changes[name] = value === defaults[name as keyof Settings] ? null : value;
  return changes;
}

export function readAsk(query: URLSearchParams): Ask {
  return {
    mode: query.get('mode') === 'trace' ? 'trace' : 'chat',
    text: query.get('q') ?? '',
    before: messagesIn(query.get('before')),
    settings: readSettings(query),
  };
}

export const askChanges = ({ mode, text, before, settings }: Ask): Changes => ({
  mode: mode === 'trace' ? mode : null,
  q: text,
  before: before.length > 0 ? JSON.stringify(before) : null,
  ...settingsChanges(settings),
});

export const traceOptions = ({ saes, mask, unlisted }: Settings) => ({
  ...(saes.length > 0 && { saes }),
  ...(mask && { mask_special: true }),
  ...(unlisted && { unlisted: true }),
});

export const sampling = ({ max, temperature, top_k, top_p, seed }: Settings) => ({
  max_tokens: max,
  temperature,
  ...(top_k > 0 && { top_k }),
  ...(top_p < 1 && { top_p }),
  seed,
});

export function messagesOf({ text, before, settings }: Ask): Message[] {
  const system = settings.system.trim();
  return [
    ...(system ? [{ role: 'system' as const, content: system }] : []),
    ...before,
    { role: 'user', content: text },
  ];
}

export const chatRequest = (ask: Ask): ChatRequest => ({
  messages: messagesOf(ask),
  ...sampling(ask.settings),
  ...traceOptions(ask.settings),
});

export const traceRequest = (ask: Ask): TraceRequest => ({
  text: ask.text,
  ...traceOptions(ask.settings),
});
