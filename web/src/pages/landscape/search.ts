// All features that a search finds, up to a limit, page by page.

import type { Api } from '../../api/client';

export interface Found {
  total: number;
  ids: number[];
}

export async function findAll(
  api: Pick<Api, 'features'>,
  text: string,
  signal: AbortSignal,
  limit = 2000,
  pageSize = 500,
): Promise<Found> {
  const found: Found = { total: 0, ids: [] };
  do {
    const page = await api.features(
      { text, offset: found.ids.length, limit: Math.min(pageSize, limit - found.ids.length) },
      signal,
    );
    found.total = page.total;
    found.ids.push(...page.features.map(({ id }) => id));
    if (page.features.length === 0) break;
  } while (found.ids.length < Math.min(found.total, limit));
  return found;
}
