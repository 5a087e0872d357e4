// Which feature a point of the landscape is. Its id is what the server knows it by; an SAE's name
// tells nothing of the site that it reads.

import type { FeatureLine, Landscape } from '../../api/types';
import { hrefOf } from '../../shell/router';

export interface Identity {
  id: number;
  sae: string;
  /** As the server calls it, once its line is there. */
  name: string;
  href: string;
}

export function identityOf(
  { ids, sae, sae_names, index }: Landscape,
  point: number,
  line: Pick<FeatureLine, 'name'> | undefined,
): Identity {
  const id = ids[point] ?? 0;
  const of = sae_names[sae[point] ?? 0] ?? '';
  return {
    id,
    sae: of,
    name: line?.name ?? `${of}:${index[point] ?? ''}`,
    href: hrefOf(['feature', id]),
  };
}

/** Of some points those of each SAE, by falling number. */
export function bySae({ sae }: Landscape, points: readonly number[]): [number, number[]][] {
  const groups = new Map<number, number[]>();
  for (const point of points) {
    const of = sae[point] ?? 0;
    const group = groups.get(of);
    if (group) group.push(point);
    else groups.set(of, [point]);
  }
  return [...groups].sort((a, b) => b[1].length - a[1].length || a[0] - b[0]);
}
