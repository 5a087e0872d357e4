// Points inside a free-hand outline.

import type { PointGrid } from './grid';

export type Outline = readonly (readonly [number, number])[];

/** Even-odd rule: an outline that crosses itself has holes. */
export function isInside(outline: Outline, x: number, y: number): boolean {
  let inside = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i++) {
    const [ax, ay] = outline[i] ?? [0, 0];
    const [bx, by] = outline[j] ?? [0, 0];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

/** In rising order. An outline of fewer than three corners holds nothing. */
export function pointsInside(
  outline: Outline,
  grid: PointGrid,
  xs: ArrayLike<number>,
  ys: ArrayLike<number>,
): number[] {
  if (outline.length < 3) return [];
  const across = outline.map(([x]) => x);
  const up = outline.map(([, y]) => y);
  return grid
    .within(Math.min(...across), Math.min(...up), Math.max(...across), Math.max(...up))
    .filter((point) => isInside(outline, xs[point] ?? 0, ys[point] ?? 0))
    .sort((a, b) => a - b);
}

const grain = 1e5;
const maxCorners = 80;

/** An outline as a word for an address, with at most 80 corners. */
export function writeOutline(outline: Outline): string {
  const step = Math.max(1, Math.ceil(outline.length / maxCorners));
  return outline
    .filter((_, i) => i % step === 0)
    .map(([x, y]) => `${Math.round(x * grain)}.${Math.round(y * grain)}`)
    .join('_');
}

/** Null where the word is none of `writeOutline`. */
export function readOutline(word: string): Outline | null {
  const corners = word.split('_').map((corner) => corner.split('.').map(Number));
  const isOutline =
    corners.length >= 3 &&
    corners.every((corner) => corner.length === 2 && corner.every(Number.isSafeInteger));
  return isOutline ? corners.map(([x = 0, y = 0]) => [x / grain, y / grain] as const) : null;
}
