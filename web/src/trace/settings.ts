// How the model answers and what of its features is asked for, as the address has it.

import type { Changes } from '../shell/router';
import { listIn, numberIn } from './view';

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

export function readSettings(query: URLSearchParams, usual = defaults): Settings {
  return {
    system: query.get('system') ?? usual.system,
    max: numberIn(query, 'max') ?? usual.max,
    temperature: numberIn(query, 'temperature') ?? usual.temperature,
    top_k: numberIn(query, 'top_k') ?? usual.top_k,
    top_p: numberIn(query, 'top_p') ?? usual.top_p,
    seed: numberIn(query, 'seed') ?? usual.seed,
    saes: listIn(query, 'saes'),
    mask: query.has('mask'),
    unlisted: query.has('unlisted'),
  };
}

export function settingsChanges(settings: Settings, usual = defaults): Changes {
  const changes: Changes = { saes: settings.saes.join(',') };
  for (const [name, value] of Object.entries(settings))
    if (name !== 'saes') changes[name] = value === usual[name as keyof Settings] ? null : value;
  return changes;
}

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
