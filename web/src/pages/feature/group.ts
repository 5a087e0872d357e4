// Explanations and exemplars in the order in which they are read.

import type { Difference, Exemplar, Explanation, Score } from '../../api/types';

export interface Versioned {
  key: string;
  isLexical: boolean;
  explainer: string;
  model: string;
  /** The same explanation in each language, with its place in the entry. */
  versions: { at: number; explanation: Explanation }[];
}

/** Language models before the lexical baseline. */
export function byExplainer(explanations: readonly Explanation[]): Versioned[] {
  const groups = new Map<string, Versioned>();
  explanations.forEach((explanation, at) => {
    const { explainer, model, prompt_hash, seed } = explanation;
    const isLexical = explainer === 'lexical';
    // A translation has a prompt of its own, so the prompt does not tell explanations apart.
    const key = [explainer, model, seed].join(' ');
    const same = groups.get(key);
    const taken = same?.versions.some((one) => one.explanation.language === explanation.language);
    if (same && !taken) same.versions.push({ at, explanation });
    else
      groups.set(taken ? `${key} ${prompt_hash}` : key, {
        key: taken ? `${key} ${prompt_hash}` : key,
        isLexical,
        explainer,
        model,
        versions: [{ at, explanation }],
      });
  });
  return [...groups.values()].sort((a, b) => Number(a.isLexical) - Number(b.isLexical));
}

export interface Scored {
  score: Score;
  /** Of the text that was scored. */
  language: string;
}

/**
 * What the lexical baseline got from the same scorer and simulator with the same questions in the
 * same language; null where there is no such score, for others cannot be compared.
 */
export function baselineOf(
  { score, language }: Scored,
  explanations: readonly Explanation[],
): Score | null {
  const alike = explanations
    .filter((one) => one.explainer === 'lexical' && one.language === language)
    .flatMap(({ scores }) => scores)
    .filter(
      ({ scorer, simulator, prompt_hash, seed, questions }) =>
        scorer === score.scorer &&
        simulator === score.simulator &&
        prompt_hash === score.prompt_hash &&
        seed === score.seed &&
        questions === score.questions,
    );
  return alike.at(-1) ?? null;
}

export type Verdict = 'above' | 'level' | 'below';

/** Whether a difference of paired answers is told apart from none by its interval. */
export function verdictOf(difference: Difference | null | undefined): Verdict | null {
  const [low, high] = difference?.interval ?? [null, null];
  if (low === null || high === null) return null;
  return low > 0 ? 'above' : high < 0 ? 'below' : 'level';
}

/**
 * Whether a score is told apart from the baseline: by the interval of their difference, which both
 * answers to the same questions give; where that was not measured both intervals must lie apart.
 */
export function verdict(score: Score, baseline: Score | null): Verdict | null {
  if (score.above_baseline) return verdictOf(score.above_baseline);
  const [low, high] = [score.low, score.high];
  const [from, to] = [baseline?.low ?? null, baseline?.high ?? null];
  if (low === null || high === null || from === null || to === null) return null;
  return low > to ? 'above' : high < from ? 'below' : 'level';
}

export const uses = ['explain', 'calibrate', 'test'] as const;
export const kinds = ['top', 'level', 'silent', 'hard_token', 'hard_cofiring'] as const;
export type Grouping = 'level' | 'kind' | 'use';

export interface Placed {
  /** In the entry: what simulations refer to. */
  at: number;
  exemplar: Exemplar;
}

const isSilent = ({ kind }: Exemplar) => kind !== 'top' && kind !== 'level';

/** Groups as they are read, each with the strongest first; empty ones are left out. */
export function groupExemplars(
  exemplars: readonly Placed[],
  by: Grouping,
): { name: string; members: Placed[] }[] {
  const strongest = ({ exemplar }: Placed) => Math.max(0, ...exemplar.activation);
  const nameOf = ({ exemplar }: Placed) =>
    by === 'use'
      ? exemplar.use
      : by === 'kind' || isSilent(exemplar)
        ? exemplar.kind
        : String(exemplar.level);
  const levels = Array.from({ length: 11 }, (_, i) => String(10 - i));
  const names: readonly string[] =
    by === 'use' ? uses : by === 'kind' ? kinds : [...levels, ...kinds];
  return names
    .map((name) => ({
      name,
      members: exemplars
        .filter((one) => nameOf(one) === name)
        .sort((a, b) => strongest(b) - strongest(a)),
    }))
    .filter(({ members }) => members.length > 0);
}
