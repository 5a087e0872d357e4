// Finds points by place: a uniform grid over the plane, its points sorted by cell. Built once in two
// passes, no allocation in a query.

export interface PointGrid {
  /** The point nearest to (x, y), no further than `radius`, that `admit` lets in; -1 where none. */
  nearest(x: number, y: number, radius: number, admit?: (point: number) => boolean): number;
  /** The points in a rectangle. */
  within(x0: number, y0: number, x1: number, y1: number): number[];
}

export function pointGrid(xs: ArrayLike<number>, ys: ArrayLike<number>): PointGrid {
  const n = xs.length;
  // About four points a cell.
  const side = Math.max(1, Math.min(512, Math.floor(Math.sqrt(n / 4))));
  const cell = (value: number) => Math.min(side - 1, Math.max(0, Math.floor(value * side)));
  const x = (point: number) => xs[point] ?? 0;
  const y = (point: number) => ys[point] ?? 0;
  const begin = new Uint32Array(side * side + 1);
  for (let i = 0; i < n; i++) {
    const at = cell(y(i)) * side + cell(x(i)) + 1;
    begin[at] = (begin[at] ?? 0) + 1;
  }
  for (let c = 0; c < side * side; c++) begin[c + 1] = (begin[c + 1] ?? 0) + (begin[c] ?? 0);
  const next = begin.slice();
  const points = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const c = cell(y(i)) * side + cell(x(i));
    const at = next[c] ?? 0;
    points[at] = i;
    next[c] = at + 1;
  }

  function visit(x0: number, y0: number, x1: number, y1: number, see: (point: number) => void) {
    for (let row = cell(y0); row <= cell(y1); row++) {
      const from = begin[row * side + cell(x0)] ?? 0;
      const to = begin[row * side + cell(x1) + 1] ?? 0;
      for (let i = from; i < to; i++) see(points[i] ?? 0);
    }
  }

  return {
    nearest(px, py, radius, admit) {
      let best = -1;
      let least = radius * radius;
      visit(px - radius, py - radius, px + radius, py + radius, (point) => {
        const distance = (x(point) - px) ** 2 + (y(point) - py) ** 2;
        if (distance > least || (admit && !admit(point))) return;
        if (distance === least && best >= 0) return;
        least = distance;
        best = point;
      });
      return best;
    },
    within(x0, y0, x1, y1) {
      const inside: number[] = [];
      visit(x0, y0, x1, y1, (point) => {
        if (x(point) >= x0 && x(point) <= x1 && y(point) >= y0 && y(point) <= y1)
          inside.push(point);
      });
      return inside;
    },
  };
}
