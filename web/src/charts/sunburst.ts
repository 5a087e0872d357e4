// Two rings: the domains inside, each one's subclasses outside it. Angles in radians, clockwise from
// the top.

export interface Slice {
  name: string;
  value: number;
  children: Slice[];
}

export interface Sector {
  /** Names from the inner ring outwards. */
  path: string[];
  value: number;
  start: number;
  end: number;
  ring: 0 | 1;
}

/**
 * Places the slices. A feature may stand for several subclasses, or for none: children share their
 * parent's angle in proportion to their counts, and where they have fewer than it, leave a gap.
 */
export function sunburst(slices: readonly Slice[]): Sector[] {
  const total = slices.reduce((sum, slice) => sum + slice.value, 0);
  if (!(total > 0)) return [];
  const sectors: Sector[] = [];
  let start = 0;
  for (const slice of slices) {
    const turn = (2 * Math.PI * slice.value) / total;
    if (turn <= 0) continue;
    sectors.push({ path: [slice.name], value: slice.value, start, end: start + turn, ring: 0 });
    const all = Math.max(
      slice.value,
      slice.children.reduce((sum, child) => sum + child.value, 0),
    );
    let at = start;
    for (const child of slice.children) {
      const end = at + (turn * child.value) / all;
      if (end > at)
        sectors.push({
          path: [slice.name, child.name],
          value: child.value,
          start: at,
          end,
          ring: 1,
        });
      at = end;
    }
    start += turn;
  }
  return sectors;
}
