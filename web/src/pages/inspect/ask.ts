// What is asked of the model, as the address has it.

import type { ChatRequest, Message, TraceRequest } from '../../api/types';
import { withChanges, type Changes } from '../../shell/router';
import {
  readSettings,
  sampling,
  settingsChanges,
  traceOptions,
  type Settings,
} from '../../trace/settings';

export interface Ask {
  mode: 'chat' | 'trace';
  text: string;
  /** The turns before this one. */
  before: Message[];
  settings: Settings;
}

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

/** As it comes back from the address. */
export const asWritten = (ask: Ask) => readAsk(withChanges(new URLSearchParams(), askChanges(ask)));
