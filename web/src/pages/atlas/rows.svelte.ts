// The answer to one query, read page by page as rows come into sight.

import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '../../api/client';
import type { FeatureLine, FeatureQuery } from '../../api/types';
import { pagesOf, type Range } from '../../charts/rows';

export const pageSize = 100;
const keptPages = 80;

export class FeatureRows {
  total = $state(0);
  private readonly pages = new SvelteMap<number, FeatureLine[]>();
  private readonly failed = new SvelteMap<number, unknown>();
  // Nothing shows it, so it need not be reactive.
  // eslint-disable-next-line svelte/prefer-svelte-reactivity
  private readonly underWay = new Set<number>();
  private readonly abort = new AbortController();

  constructor(
    private readonly api: Pick<Api, 'features'>,
    private readonly query: FeatureQuery,
  ) {}

  /** Of a page that is wanted and did not come; null where there is none. */
  get error(): unknown {
    return [...this.failed.values()][0] ?? null;
  }

  /** Asks again for the pages that did not come. */
  async retry(): Promise<void> {
    await Promise.all([...this.failed.keys()].map((page) => this.read(page)));
  }

  /** Undefined while the row is not there yet. */
  get(row: number): FeatureLine | undefined {
    return this.pages.get(Math.floor(row / pageSize))?.[row % pageSize];
  }

  /** Asks for what is missing of a range. Resolves when all of it is there, or given up. */
  async load(range: Range): Promise<void> {
    const missing = pagesOf(range, pageSize).filter(
      (page) => !this.pages.has(page) && !this.underWay.has(page),
    );
    await Promise.all(missing.map((page) => this.read(page)));
  }

  /** No answer that comes later is taken. */
  close() {
    this.abort.abort();
  }

  private furthestFrom(page: number): number {
    return [...this.pages.keys()].reduce((far, one) =>
      Math.abs(one - page) > Math.abs(far - page) ? one : far,
    );
  }

  private async read(page: number) {
    this.underWay.add(page);
    try {
      const answer = await this.api.features(
        { ...this.query, offset: page * pageSize, limit: pageSize },
        this.abort.signal,
      );
      if (this.abort.signal.aborted) return;
      this.total = answer.total;
      this.pages.set(page, answer.features);
      if (this.pages.size > keptPages) this.pages.delete(this.furthestFrom(page));
      this.failed.delete(page);
    } catch (error) {
      if (!this.abort.signal.aborted) this.failed.set(page, error);
    } finally {
      this.underWay.delete(page);
    }
  }
}
