// Does a feature fire on what the model knows, and stay silent on what it cannot know?
//
// The best of many features always looks good. So beside it stands how often a best feature looks
// as good when the marks known and unknown are dealt out anew.

import type { TraceFeature, Trace } from '../../api/types';
import { keyOf } from '../../trace/firing';
import { findBytes } from '../../charts/utf8';

/**
 * The positions of the question's tokens that hold part of the entity, where it first stands; none
 * where it is not found.
 */
export function entityPositions(trace: Trace, entity: string): number[] {
  const asked = trace.tokens.filter(
    ({ part, role, special }) => part === 'query' && role !== 'template' && !special,
  );
  for (const range of findBytes(trace.text, entity)) {
    const inside = asked.filter(({ start, end }) =>
      // Of tokens that share a character the first has all its bytes and the others are empty.
      start === end
        ? start > range.start && start <= range.end
        : start < range.end && end > range.start,
    );
    if (inside.length > 0) return inside.map(({ position }) => position);
  }
  return [];
}

export interface Row {
  feature: TraceFeature;
  /** By entity: the normalised activation on its last token; 0 where the feature is silent. */
  strength: number[];
}

/**
 * An entity is read at its last token, where the model has seen all of it: so each has one chance to
 * fire, however many tokens it is cut into. Features without a known scale cannot be held against a
 * threshold; `n_unknown` are left out.
 */
export function entityRows(
  traces: readonly Trace[],
  entities: readonly string[],
): { rows: Row[]; n_unknown: number } {
  const rows = new Map<string, Row>();
  const unknown = new Set<string>();
  traces.forEach((trace, i) => {
    const last = entityPositions(trace, entities[i] ?? '').at(-1);
    const token = trace.tokens.find(({ position }) => position === last);
    for (const { feature: at, normalised } of token?.features ?? []) {
      const feature = trace.features[at];
      if (!feature) continue;
      const key = keyOf(feature);
      if (normalised === null) {
        unknown.add(key);
        continue;
      }
      const row = rows.get(key) ?? { feature, strength: traces.map(() => 0) };
      row.strength[i] = normalised;
      rows.set(key, row);
    }
  });
  return { rows: [...rows.values()], n_unknown: unknown.size };
}

export interface Counts {
  knownFires: number;
  knownSilent: number;
  unknownFires: number;
  unknownSilent: number;
}

export function countsOf(fires: readonly boolean[], known: readonly boolean[]): Counts {
  const n = (k: boolean, f: boolean) =>
    known.filter((isKnown, i) => isKnown === k && fires[i] === f).length;
  return {
    knownFires: n(true, true),
    knownSilent: n(true, false),
    unknownFires: n(false, true),
    unknownSilent: n(false, false),
  };
}

/** Correlation of firing with being known, -1..1; 0 where either is always the same. */
export function association(counts: Counts): number {
  const { knownFires: a, knownSilent: b, unknownFires: c, unknownSilent: d } = counts;
  const scale = Math.sqrt((a + b) * (c + d) * (a + c) * (b + d));
  return scale === 0 ? 0 : (a * d - b * c) / scale;
}

/** Every way to mark as many of n as known as now are. */
function* dealings(n: number, n_known: number): Generator<boolean[]> {
  for (let bits = 0; bits < 1 << n; bits++) {
    const marks = Array.from({ length: n }, (_, i) => ((bits >> i) & 1) === 1);
    if (marks.filter(Boolean).length === n_known) yield marks;
  }
}

export interface Finding {
  /** By falling association. */
  rows: (Row & { counts: Counts; association: number })[];
  /** Share of all dealings in which some feature goes with the marks as well as the best does. */
  chance: number;
}

export function findingOf(rows: readonly Row[], known: readonly boolean[], least: number): Finding {
  const firing = rows.map(({ strength }) => strength.map((value) => value > least));
  const best = (marks: readonly boolean[]) =>
    firing.reduce((top, fires) => Math.max(top, association(countsOf(fires, marks))), -1);
  const observed = best(known);
  const all = [...dealings(known.length, known.filter(Boolean).length)];
  const asGood = all.filter((marks) => best(marks) >= observed - 1e-9).length;
  const judged = rows.map((row, i) => {
    const counts = countsOf(firing[i] ?? [], known);
    return { ...row, counts, association: association(counts) };
  });
  const total = ({ strength }: Row) => strength.reduce((sum, value) => sum + value, 0);
  judged.sort((a, b) => b.association - a.association || total(b) - total(a));
  return { rows: judged, chance: all.length > 0 ? asGood / all.length : 1 };
}
