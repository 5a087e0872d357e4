// Does a feature fire on what the model knows, and stay silent on what it cannot know?
//
// The best of many features always looks good. So beside it stands how often a best feature looks
// as good when the marks known and unknown are dealt out anew.

import type { TraceFeature, Trace } from '../../api/types';
import { keyOf } from '../../trace/firing';
import { findBytes } from '../../trace/utf8';

/** The positions of the query's tokens that hold part of the entity; none where it is not found. */
export function entityPositions(trace: Trace, entity: string): Set<number> {
  const ranges = findBytes(trace.text, entity);
  return new Set(
    trace.tokens
      .filter(
        ({ part, role, special, start, end }) =>
          part === 'query' &&
          role !== 'template' &&
          !special &&
          ranges.some((range) => start < range.end && end > range.start),
      )
      .map(({ position }) => position),
  );
}

export interface Row {
  feature: TraceFeature;
  /** By entity: the largest normalised activation on its tokens, the plain one where there is no
      quantile; 0 where the feature is silent. */
  strength: number[];
}

export function entityRows(traces: readonly Trace[], entities: readonly string[]): Row[] {
  const rows = new Map<string, Row>();
  traces.forEach((trace, i) => {
    const positions = entityPositions(trace, entities[i] ?? '');
    for (const token of trace.tokens) {
      if (!positions.has(token.position)) continue;
      for (const { feature: at, activation, normalised } of token.features) {
        const feature = trace.features[at];
        if (!feature) continue;
        const key = keyOf(feature);
        const row = rows.get(key) ?? { feature, strength: traces.map(() => 0) };
        row.strength[i] = Math.max(row.strength[i] ?? 0, normalised ?? activation);
        rows.set(key, row);
      }
    }
  });
  return [...rows.values()];
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
