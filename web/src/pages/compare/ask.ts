// What is compared, as the address has it.

import type { CompareRequest } from '../../api/types';
import { withChanges, type Changes } from '../../shell/router';
import {
  defaults,
  readSettings,
  sampling,
  settingsChanges,
  traceOptions,
  type Settings,
} from '../../trace/settings';
import { numberIn } from '../../trace/view';

export const most = 8;

export interface Prompt {
  label: string;
  text: string;
  /** What the question is about, where that is to be looked at. */
  entity: string;
  /** Whether a person would say that the model can know it. */
  known: boolean;
}

export interface Ask {
  mode: 'chat' | 'text';
  prompts: Prompt[];
  settings: Settings;
  /** The normalised activation above which a feature counts as firing on an entity. */
  least: number;
}

export const usualLeast = 0.1;
const usual: Settings = { ...defaults, max: 48 };

const field = (value: unknown) => (typeof value === 'string' ? value : '');

function promptsIn(text: string | null): Prompt[] {
  if (!text) return [];
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value)) return [];
    return value
      .filter((row) => Array.isArray(row))
      .slice(0, most)
      .map((row: unknown[]) => ({
        label: field(row[0]),
        text: field(row[1]),
        entity: field(row[2]),
        known: row[3] === 1,
      }));
  } catch {
    return [];
  }
}

export function readAsk(query: URLSearchParams): Ask {
  return {
    mode: query.get('mode') === 'text' ? 'text' : 'chat',
    prompts: promptsIn(query.get('prompts')),
    settings: readSettings(query, usual),
    least: numberIn(query, 'least') ?? usualLeast,
  };
}

export function askChanges({ mode, prompts, settings, least }: Ask): Changes {
  const rows = prompts.map(({ label, text, entity, known }) =>
    entity ? [label, text, entity, known ? 1 : 0] : [label, text],
  );
  return {
    mode: mode === 'text' ? mode : null,
    prompts: rows.length > 0 ? JSON.stringify(rows) : null,
    least: least === usualLeast ? null : least,
    ...settingsChanges(settings, usual),
  };
}

export const isComplete = ({ prompts }: Ask) =>
  prompts.length >= 2 && prompts.every(({ text }) => text.trim() !== '');

export function compareRequest({ mode, prompts, settings }: Ask): CompareRequest {
  const system = settings.system.trim();
  return {
    prompts: prompts.map(({ label, text }) => ({
      label,
      ...(mode === 'text'
        ? { text }
        : {
            messages: [
              ...(system ? [{ role: 'system' as const, content: system }] : []),
              { role: 'user' as const, content: text },
            ],
          }),
    })),
    ...sampling(settings),
    ...traceOptions(settings),
  };
}

/** What the server is asked; that of the rest which differs is judged on the page. */
export const requestKey = (ask: Ask) => JSON.stringify(compareRequest(ask));

/** As it comes back from the address. */
export const asWritten = (ask: Ask) => readAsk(withChanges(new URLSearchParams(), askChanges(ask)));
