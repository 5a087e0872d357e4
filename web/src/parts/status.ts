// What became of a feature, an explanation or a score, in the words of the interface. The server's
// words for it are keys: "ok", "constant", "insufficient: n = 3".

import { t, tOr } from '../i18n/index.svelte';

export function statusName(status: string): string {
  const few = /^insufficient: n = (\d+)$/.exec(status);
  if (few) return t('status.insufficient.n', { n: few[1] ?? '' });
  return tOr(`status.${status}`, status);
}
