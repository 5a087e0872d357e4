// The features of a comparison as rows that can be sorted and saved.

import type { ComparedFeature } from '../../api/types';
import { toCsv } from '../../trace/export';
import { explanationOf, passes, type Filter } from '../../trace/firing';

/** A column: a prompt by its place, or one of these. */
export type Column = number | 'layer' | 'score' | 'spread';

export interface Sort {
  column: Column;
  rising: boolean;
}

export function spreadOf({ max }: ComparedFeature): number {
  const known = max.filter((value) => value !== null);
  return known.length > 0 ? Math.max(...known) - Math.min(...known) : 0;
}

/** Of two prompts the difference has a sign: the second less the first. */
export function differenceOf(feature: ComparedFeature): number {
  const [first, second] = feature.max;
  return feature.max.length === 2 ? (second ?? 0) - (first ?? 0) : spreadOf(feature);
}

export function sortIn(query: URLSearchParams): Sort {
  const name = query.get('sort') ?? 'spread';
  const column: Column =
    name === 'layer' || name === 'score' || name === 'spread'
      ? name
      : /^\d$/.test(name)
        ? Number(name)
        : 'spread';
  return { column, rising: query.has('rising') };
}

export function tableOf(
  features: readonly ComparedFeature[],
  filter: Filter,
  { column, rising }: Sort,
): ComparedFeature[] {
  const value = (feature: ComparedFeature) => {
    if (column === 'layer') return feature.layer;
    if (column === 'score') return feature.score ?? -Infinity;
    if (column === 'spread') return spreadOf(feature);
    return feature.max[column] ?? -Infinity;
  };
  const direction = rising ? 1 : -1;
  return features
    .filter((feature) => passes(feature, filter))
    .sort((a, b) => direction * Math.sign(value(a) - value(b)) || 0);
}

export function tableCsv(
  features: readonly ComparedFeature[],
  labels: readonly string[],
  language: string,
): string {
  const head = ['sae', 'layer', 'feature', 'score', 'domains', 'explanation', ...labels, 'spread'];
  const rows = features.map((feature) => [
    feature.sae,
    feature.layer,
    feature.index,
    feature.score,
    feature.domains.join(' '),
    explanationOf(feature, language),
    ...feature.max,
    spreadOf(feature),
  ]);
  return toCsv([head, ...rows]);
}
