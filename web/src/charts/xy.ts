// The frame of a chart with two axes.

export interface XYPoint {
  x: number;
  y: number;
  /** Ends of an interval of y. */
  low?: number | null;
  high?: number | null;
  /** What it is, for the tooltip and the table. */
  label?: string;
  /** Drawn large, with a ring. */
  mark?: boolean;
}

export interface Series {
  id: string;
  label: string;
  colour: string;
  points: XYPoint[];
  line?: boolean;
  dots?: boolean;
  dashed?: boolean;
  /** Draws the intervals as one band, not as a bar a point. */
  band?: boolean;
  shape?: 'circle' | 'square' | 'triangle';
}

/** Of the values that exist those to be named, evenly, where only so many have room. */
export function thinned(values: readonly number[], most: number): number[] {
  const step = Math.ceil(values.length / Math.max(1, most));
  return values.filter((_, i) => i % step === 0);
}

const known = (value: number | null | undefined): value is number =>
  value !== null && value !== undefined && Number.isFinite(value);

/** The least and the largest x and y of all points and intervals; null where there is no point. */
export function extent(
  series: readonly Series[],
): { x: [number, number]; y: [number, number] } | null {
  const x: [number, number] = [Infinity, -Infinity];
  const y: [number, number] = [Infinity, -Infinity];
  for (const point of series.flatMap((one) => one.points)) {
    if (!known(point.x) || !known(point.y)) continue;
    x[0] = Math.min(x[0], point.x);
    x[1] = Math.max(x[1], point.x);
    for (const value of [point.y, point.low, point.high]) {
      if (!known(value)) continue;
      y[0] = Math.min(y[0], value);
      y[1] = Math.max(y[1], value);
    }
  }
  return x[0] > x[1] ? null : { x, y };
}

/** Widens a range by a share of its width, so that no mark lies on the frame. */
export function padded([low, high]: [number, number], share = 0.06): [number, number] {
  const width = high - low || Math.abs(high) || 1;
  return [low - width * share, high + width * share];
}

/** The same for a logarithmic axis: a factor on both sides. */
export function paddedLog([low, high]: [number, number]): [number, number] {
  const factor = Math.max(1.12, (high / low) ** 0.08);
  return [low / factor, high * factor];
}

export const isDrawable = (point: XYPoint) => known(point.x) && known(point.y);

/** The drawn point nearest to a pixel, within `reach` pixels; null where none is. */
export function nearestPoint(
  series: readonly Series[],
  px: number,
  py: number,
  toX: (x: number) => number,
  toY: (y: number) => number,
  reach = 24,
): { series: Series; point: XYPoint } | null {
  let best: { series: Series; point: XYPoint } | null = null;
  let least = reach * reach;
  for (const one of series)
    for (const point of one.points) {
      if (!isDrawable(point)) continue;
      const distance = (toX(point.x) - px) ** 2 + (toY(point.y) - py) ** 2;
      if (distance < least) [best, least] = [{ series: one, point }, distance];
    }
  return best;
}
