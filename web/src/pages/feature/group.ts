// Explanations and exemplars in the order in which they are read.

import type { Exemplar, Explanation, Score } from '../../api/types';

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

/** What the lexical baseline got by the same scorer, at best by the same simulator. */
export function baselineOf(score: Score, explanations: readonly Explanation[]): number | null {
  const candidates = explanations
    .filter(({ explainer }) => explainer === 'lexical')
    .flatMap(({ scores }) => scores.filter(({ scorer }) => scorer === score.scorer));
  const best =
    candidates.find(({ simulator }) => simulator === score.simulator) ?? candidates[0] ?? null;
  return best?.value ?? null;
}

/** Whether a score is told apart from the baseline by its interval. */
export function verdict(score: Score, baseline: number | null): 'above' | 'level' | 'below' | null {
  if (baseline === null || score.low === null || score.high === null) return null;
  return score.low > baseline ? 'above' : score.high < baseline ? 'below' : 'level';
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
