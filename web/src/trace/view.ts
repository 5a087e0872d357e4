// How a trace is looked at, as the address has it.

import type { Changes } from '../shell/router';
import type { ColourBy, Filter } from './firing';

export interface View {
  pinned: number | null;
  by: ColourBy;
  filter: Filter;
  /** Of explanations; null: the interface's. */
  language: string | null;
}

export function numberIn(query: URLSearchParams, name: string): number | null {
  const text = query.get(name);
  if (text === null || text.trim() === '') return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

export const listIn = (query: URLSearchParams, name: string) =>
  (query.get(name) ?? '').split(',').filter(Boolean);

export function readView(query: URLSearchParams): View {
  const feature = query.get('feature');
  const domain = query.get('colour');
  return {
    pinned: numberIn(query, 'token'),
    by: feature
      ? { kind: 'feature', key: feature }
      : domain
        ? { kind: 'domain', domain }
        : { kind: 'strongest' },
    filter: {
      domains: listIn(query, 'domains'),
      layer: numberIn(query, 'layer'),
      minScore: numberIn(query, 'score'),
    },
    language: query.get('explained'),
  };
}

export const byChanges = (by: ColourBy): Changes => ({
  feature: by.kind === 'feature' ? by.key : null,
  colour: by.kind === 'domain' ? by.domain : null,
});

export const filterChanges = ({ domains, layer, minScore }: Filter): Changes => ({
  domains: domains.join(','),
  layer,
  score: minScore,
});
