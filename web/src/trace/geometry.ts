// Arrow keys over boxes of running text.

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const centre = ({ left, right }: Box) => (left + right) / 2;

/** The place in `boxes` that lies over or under box `from`, in the next line and nearest across. */
export function acrossLines(boxes: readonly (Box | null)[], from: number, down: boolean): number {
  const start = boxes[from];
  if (!start) return from;
  let best = from;
  let line: Box | null = null;
  let distance = Infinity;
  const step = down ? 1 : -1;
  for (let i = from + step; i >= 0 && i < boxes.length; i += step) {
    const box = boxes[i];
    if (!box) continue;
    const beyond = down ? box.top >= start.bottom - 4 : box.bottom <= start.top + 4;
    if (!beyond) continue;
    line ??= box;
    const left = down ? box.top >= line.bottom - 4 : box.bottom <= line.top + 4;
    if (left) break;
    const away = Math.abs(centre(box) - centre(start));
    if (away < distance) {
      distance = away;
      best = i;
    }
  }
  return best;
}

/** The position a key leads to, or null where the key is none of ours. */
export function moveAcross(
  key: string,
  positions: readonly number[],
  cursor: number | null,
  elementOf: (position: number) => HTMLElement | null,
): number | null {
  const at = Math.max(0, positions.indexOf(cursor ?? -1));
  const here = elementOf(positions[at] ?? -1);
  const rightToLeft = here !== null && getComputedStyle(here).direction === 'rtl';
  const to = (place: number) =>
    positions[Math.min(positions.length - 1, Math.max(0, place))] ?? null;
  switch (key) {
    case 'ArrowRight':
      return to(at + (rightToLeft ? -1 : 1));
    case 'ArrowLeft':
      return to(at + (rightToLeft ? 1 : -1));
    case 'Home':
      return to(0);
    case 'End':
      return to(positions.length - 1);
    case 'ArrowDown':
    case 'ArrowUp': {
      const boxes = positions.map((p) => elementOf(p)?.getClientRects()[0] ?? null);
      return to(acrossLines(boxes, at, key === 'ArrowDown'));
    }
    default:
      return null;
  }
}
