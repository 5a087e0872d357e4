// Which of a token's features are shown, and the colour they give it.

import type { Firing, Token, TraceFeature } from '../api/types';

export interface Filter {
  /** Empty: all, also features without a domain. */
  domains: readonly string[];
  layer: number | null;
  minScore: number | null;
}

export const noFilter: Filter = { domains: [], layer: null, minScore: null };

export type ColourBy =
  { kind: 'strongest' } | { kind: 'domain'; domain: string } | { kind: 'feature'; key: string };

/** Names a feature across traces. Two SAEs may read one site, so the site alone does not. */
export const keyOf = (feature: { sae: string; index: number }) => `${feature.sae}:${feature.index}`;

export function passes(feature: TraceFeature, filter: Filter): boolean {
  const { domains, layer, minScore } = filter;
  if (domains.length > 0 && !feature.domains.some((domain) => domains.includes(domain)))
    return false;
  if (layer !== null && feature.layer !== layer) return false;
  return minScore === null || (feature.score !== null && feature.score >= minScore);
}

export interface Shown extends Firing {
  of: TraceFeature;
}

/** In falling normalised activation; those that cannot be normalised come last. */
export function shownFirings(
  token: Token,
  features: readonly TraceFeature[],
  filter: Filter,
): Shown[] {
  const shown: Shown[] = [];
  for (const firing of token.features) {
    const of = features[firing.feature];
    if (of && passes(of, filter)) shown.push({ ...firing, of });
  }
  return shown.sort(
    (a, b) => (b.normalised ?? -1) - (a.normalised ?? -1) || b.activation - a.activation,
  );
}

export interface Tint {
  domain: string | null;
  /** 0..1: normalised activation, cut at 1. */
  strength: number;
  firing: Shown;
}

/** What colours a token, or null where nothing does. `shown` is in falling activation. */
export function tintOf(shown: readonly Shown[], by: ColourBy): Tint | null {
  const firing = shown.find(({ of }) => {
    if (by.kind === 'domain') return of.domains.includes(by.domain);
    if (by.kind === 'feature') return keyOf(of) === by.key;
    return true;
  });
  if (!firing) return null;
  const domain = by.kind === 'domain' ? by.domain : (firing.of.domains[0] ?? null);
  return { domain, strength: Math.min(1, Math.max(0, firing.normalised ?? 0)), firing };
}

/** The strongest firing of each layer, for the overview. */
export function tintsByLayer(shown: readonly Shown[], by: ColourBy): Map<number, Tint> {
  const layers = new Map<number, Shown[]>();
  for (const firing of shown) {
    const same = layers.get(firing.of.layer);
    if (same) same.push(firing);
    else layers.set(firing.of.layer, [firing]);
  }
  const tints = new Map<number, Tint>();
  for (const [layer, firings] of layers) {
    const tint = tintOf(firings, by);
    if (tint) tints.set(layer, tint);
  }
  return tints;
}

/** In the wanted language, else in any. */
export function explanationOf(feature: TraceFeature, language: string): string | null {
  return feature.explanation[language] ?? Object.values(feature.explanation)[0] ?? null;
}
