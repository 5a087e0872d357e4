// What to search for on a run that is not known beforehand.
import type { Page } from '@playwright/test';

/** A word that stands in the explanations of some of a run's features, not of all. */
export async function tellingWord(page: Page): Promise<string> {
  const answer = await page.request.get('/api/v1/features?limit=200');
  const { features } = (await answer.json()) as { features: { explanation: string }[] };
  const texts = features.map(({ explanation }) => new Set(explanation.match(/[a-z]{5,}/g) ?? []));
  const counts = new Map<string, number>();
  for (const text of texts) for (const word of text) counts.set(word, (counts.get(word) ?? 0) + 1);
  const some = [...counts].find(([, count]) => count > 1 && count < texts.length / 2);
  if (some === undefined) throw new Error('no word tells these features apart');
  return some[0];
}
