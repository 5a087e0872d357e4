// The features of a comparison as rows that can be sorted and saved.

import type { ComparedFeature, Comparison, ComparedPart } from '../../api/types';
import { toCsv } from '../../trace/export';
import { explanationOf, passes, type Filter } from '../../trace/firing';

/** A column: a prompt by its place, or one of these. */
export type Column = number | 'layer' | 'score' | 'spread';

export interface Sort {
  column: Column;
  rising: boolean;
}

export const parts = ['question', 'answer'] as const;
export const statistics = ['expected_max', 'max'] as const;
export type Statistic = (typeof statistics)[number];

/** The part that the address names, where there is one. */
export const partIn = (query: URLSearchParams, comparison: Comparison): ComparedPart =>
  (query.get('part') === 'answer' ? comparison.answer : null) ?? comparison.question;

export const statisticIn = (query: URLSearchParams): Statistic =>
  statistics.find((name) => name === query.get('statistic')) ?? 'expected_max';

/** A feature with the chosen statistic of each prompt. */
export interface Row extends ComparedFeature {
  values: (number | null)[];
}

export const rowsOf = ({ features }: ComparedPart, statistic: Statistic): Row[] =>
  features.map((feature) => ({ ...feature, values: feature[statistic] }));

export function spreadOf({ values }: Row): number {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? Math.max(...known) - Math.min(...known) : 0;
}

/** Of two prompts the difference has a sign: the second less the first. */
export function differenceOf(row: Row): number | null {
  const [first, second] = row.values;
  if (row.values.length !== 2) return spreadOf(row);
  return typeof first === 'number' && typeof second === 'number' ? second - first : null;
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

export function tableOf(rows: readonly Row[], filter: Filter, { column, rising }: Sort): Row[] {
  const value = (feature: Row) => {
    if (column === 'layer') return feature.layer;
    if (column === 'score') return feature.score ?? -Infinity;
    if (column === 'spread') return spreadOf(feature);
    return feature.values[column] ?? -Infinity;
  };
  const direction = rising ? 1 : -1;
  return rows
    .filter((feature) => passes(feature, filter))
    .sort((a, b) => direction * Math.sign(value(a) - value(b)) || 0);
}

export function tableCsv(
  features: readonly Row[],
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
    ...feature.values,
    spreadOf(feature),
  ]);
  return toCsv([head, ...rows]);
}
