// Which colour and weight each point of the landscape has.

import type { Landscape } from '../../api/types';
import { bright, dim, plain, type Colour } from '../../charts/map/cloud';

export const colourings = ['domain', 'layer', 'score'] as const;
export type Colouring = (typeof colourings)[number];

/** Steps of the ramp by which layers and scores are coloured; colour 0 is of unknown values. */
export const rampSteps = 8;

/** The first domain of a mask that is wanted, of all if none is; -1 for a mask of none. */
export function domainOf(mask: number, wanted: readonly number[]): number {
  const chosen = wanted.find((bit) => (mask >>> bit) & 1);
  if (chosen !== undefined) return chosen;
  return mask === 0 ? -1 : 31 - Math.clz32(mask & -mask);
}

/** Colour 0: no domain, or unknown; 1 + i: the i-th domain, or step of the ramp. */
export function colourIndices(
  landscape: Landscape,
  by: Colouring,
  wanted: readonly number[],
): Uint8Array {
  const n = landscape.n;
  const indices = new Uint8Array(n);
  if (by === 'domain') {
    for (let i = 0; i < n; i++) indices[i] = 1 + domainOf(landscape.domain[i] ?? 0, wanted);
    return indices;
  }
  const values: (number | null)[] = by === 'layer' ? landscape.layer : landscape.score;
  const [low, high] = rangeOf(values);
  for (let i = 0; i < n; i++) {
    const value = values[i];
    if (value === null || value === undefined) continue;
    const share = high > low ? (value - low) / (high - low) : 0.5;
    indices[i] = 1 + Math.min(rampSteps - 1, Math.floor(share * rampSteps));
  }
  return indices;
}

export function rangeOf(values: readonly (number | null)[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low > high ? [0, 1] : [low, high];
}

/** `steps` colours from one end to the other. */
export function ramp(from: Colour, to: Colour, steps = rampSteps): Colour[] {
  return Array.from({ length: steps }, (_, i) => {
    const share = steps === 1 ? 1 : i / (steps - 1);
    return from.map((part, c) => part + ((to[c] ?? 0) - part) * share) as unknown as Colour;
  });
}

export interface Emphasis {
  /** Bits of the domains wanted; empty: all. */
  domains: readonly number[];
  /** Index of the SAE wanted, or null for all. */
  sae: number | null;
  /** Places of what a search found; null while nothing is searched for. */
  found: ReadonlySet<number> | null;
  selected: ReadonlySet<number>;
}

export function admits(landscape: Landscape, emphasis: Emphasis, point: number): boolean {
  const mask = landscape.domain[point] ?? 0;
  return (
    (emphasis.sae === null || landscape.sae[point] === emphasis.sae) &&
    (emphasis.domains.length === 0 || emphasis.domains.some((bit) => (mask >>> bit) & 1)) &&
    (emphasis.found === null || emphasis.found.has(point))
  );
}

export function weightsOf(landscape: Landscape, emphasis: Emphasis): Uint8Array {
  const weights = new Uint8Array(landscape.n);
  for (let i = 0; i < weights.length; i++)
    weights[i] = !admits(landscape, emphasis, i)
      ? dim
      : emphasis.selected.has(i) || emphasis.found !== null
        ? bright
        : plain;
  return weights;
}

/** How many of some points each domain has; a point of several counts in each. */
export function countDomains(
  landscape: Landscape,
  points: readonly number[],
): { bit: number; n: number }[] {
  const counts = landscape.domain_names.map((_, bit) => ({ bit, n: 0 }));
  let none = 0;
  for (const point of points) {
    const mask = landscape.domain[point] ?? 0;
    if (mask === 0) none++;
    for (const count of counts) if ((mask >>> count.bit) & 1) count.n++;
  }
  return [...counts, { bit: -1, n: none }].filter(({ n }) => n > 0).sort((a, b) => b.n - a.n);
}
