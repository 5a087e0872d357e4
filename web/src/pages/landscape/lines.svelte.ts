// Lines of features by id, asked for in one request a moment and kept.

import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '../../api/client';
import type { FeatureLine } from '../../api/types';

const mostAtOnce = 500;

export class Lines {
  private readonly known = new SvelteMap<number, FeatureLine>();
  private wanted: number[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly api: Pick<Api, 'features'>,
    private readonly language: string,
    private readonly delay = 60,
  ) {}

  get(id: number): FeatureLine | undefined {
    return this.known.get(id);
  }

  /** Forgets earlier wishes that were not asked for yet. */
  want(ids: readonly number[]) {
    this.wanted = ids.filter((id) => !this.known.has(id)).slice(0, mostAtOnce);
    clearTimeout(this.timer);
    if (this.wanted.length > 0) this.timer = setTimeout(() => void this.ask(), this.delay);
  }

  private async ask() {
    const ids = this.wanted;
    try {
      const page = await this.api.features({
        ids: ids.join(','),
        language: this.language,
        limit: ids.length,
      });
      for (const line of page.features) this.known.set(line.id, line);
    } catch {
      // What is known of them without stays on the screen; the next wish asks again.
    }
  }
}
