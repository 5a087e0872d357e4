// Which rows of a long table are on the screen, and which pages of it must be asked for.

export interface Range {
  first: number;
  /** One behind the last. */
  end: number;
}

/** The rows to draw: those in the window, and `margin` more on both sides. */
export function visibleRows(
  scroll: number,
  height: number,
  rowHeight: number,
  total: number,
  margin = 8,
): Range {
  const first = Math.floor(Math.max(0, scroll) / rowHeight) - margin;
  const end = Math.ceil((Math.max(0, scroll) + height) / rowHeight) + margin;
  const last = Math.max(0, Math.min(end, total));
  return { first: Math.min(Math.max(0, first), last), end: last };
}

/** The numbers of the pages that hold a range of rows. */
export function pagesOf(range: Range, pageSize: number): number[] {
  const pages: number[] = [];
  if (range.end <= range.first) return pages;
  for (let page = Math.floor(range.first / pageSize); page * pageSize < range.end; page++)
    pages.push(page);
  return pages;
}

/** The scroll position that shows a row, moving no further than needed. */
export function scrollToRow(
  row: number,
  scroll: number,
  height: number,
  rowHeight: number,
): number {
  const top = row * rowHeight;
  if (top < scroll) return top;
  if (top + rowHeight > scroll + height) return top + rowHeight - height;
  return scroll;
}

// Browsers draw no element above some 17 million pixels. A table that would be higher gets one of
// `tallest`, whose middle is scrolled in proportion: a wheel or a key still moves by pixels, the bar
// to any row.

const tallest = 8_000_000;

export interface Sizes {
  /** In pixels: of all rows, and of the window on them. */
  whole: number;
  seen: number;
}

/** The height of the element that is scrolled. */
export const drawnHeight = ({ whole }: Sizes) => Math.min(whole, tallest);

const edge = ({ seen }: Sizes) => 50 * seen;

function between(value: number, [a, b]: [number, number], [c, d]: [number, number]): number {
  return b > a ? c + ((value - a) / (b - a)) * (d - c) : c;
}

/** The place in the rows that belongs to a position of the bar: pixel by pixel at both ends. */
export function placeOf(top: number, sizes: Sizes): number {
  const [last, end] = [drawnHeight(sizes) - sizes.seen, sizes.whole - sizes.seen];
  const near = edge(sizes);
  if (last === end || top <= near) return top;
  if (top >= last - near) return end - (last - top);
  return between(top, [near, last - near], [near, end - near]);
}

/** The position of the bar that belongs to a place in the rows. */
export function barOf(place: number, sizes: Sizes): number {
  const [last, end] = [drawnHeight(sizes) - sizes.seen, sizes.whole - sizes.seen];
  const near = edge(sizes);
  if (last === end || place <= near) return place;
  if (place >= end - near) return last - (end - place);
  return between(place, [near, end - near], [near, last - near]);
}

/** Where the rows are after the bar moved from `before` to `top`. */
export function scrolled(place: number, before: number, top: number, sizes: Sizes): number {
  const end = Math.max(0, sizes.whole - sizes.seen);
  const last = drawnHeight(sizes) - sizes.seen;
  const isStep = Math.abs(top - before) <= sizes.seen && top > 0 && top < last;
  return Math.max(0, Math.min(end, isStep ? place + top - before : placeOf(top, sizes)));
}
