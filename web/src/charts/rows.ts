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
