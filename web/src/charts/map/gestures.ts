// Pointers and wheel on a map, turned into what is meant: pan, zoom, hover, tap, lasso.

export interface Gestures {
  pan(dx: number, dy: number): void;
  zoom(factor: number, px: number, py: number): void;
  /** A mouse at rest or moving, nothing pressed; null when it left, or a drag began. */
  hover(at: [number, number] | null): void;
  tap(px: number, py: number, withFinger: boolean): void;
  /** The outline so far; `done` with the last. An empty one is a lasso given up. */
  lasso(outline: [number, number][], done: boolean): void;
}

const tapReach = 5;
/** Pixels between corners of an outline. */
const cornerApart = 4;

/** `isLasso` says whether a drag draws; with Shift it always does. Returns what ends listening. */
export function listen(
  element: HTMLElement,
  gestures: Gestures,
  isLasso: () => boolean,
): () => void {
  const pointers = new Map<number, [number, number]>();
  let outline: [number, number][] | null = null;
  let travelled = 0;

  const place = (event: MouseEvent): [number, number] => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const middle = () => {
    const all = [...pointers.values()];
    const [x, y] = all.reduce(([x, y], [px, py]) => [x + px, y + py] as const, [0, 0] as const);
    const [a, b] = all;
    const apart = a && b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0;
    return { x: x / all.length, y: y / all.length, apart };
  };

  function down(event: PointerEvent) {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    travelled = 0;
    if (pointers.size === 1 && (isLasso() || event.shiftKey)) outline = [place(event)];
    else if (outline) {
      outline = null;
      gestures.lasso([], true);
    }
  }

  function move(event: PointerEvent) {
    const at = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === 'mouse') gestures.hover(at);
      return;
    }
    travelled += Math.hypot(at[0] - before[0], at[1] - before[1]);
    const old = middle();
    pointers.set(event.pointerId, at);
    if (outline) {
      const [lx, ly] = outline.at(-1) ?? at;
      if (Math.hypot(at[0] - lx, at[1] - ly) < cornerApart) return;
      outline.push(at);
      gestures.lasso(outline, false);
      return;
    }
    if (travelled > tapReach) gestures.hover(null);
    const now = middle();
    if (old.apart > 0 && now.apart > 0) gestures.zoom(now.apart / old.apart, now.x, now.y);
    if (travelled > tapReach || pointers.size > 1) gestures.pan(now.x - old.x, now.y - old.y);
  }

  function up(event: PointerEvent) {
    if (!pointers.delete(event.pointerId)) return;
    const still = travelled <= tapReach;
    if (outline) {
      gestures.lasso(still ? [] : outline, true);
      outline = null;
    }
    if (still && pointers.size === 0 && event.type === 'pointerup')
      gestures.tap(...place(event), event.pointerType === 'touch');
  }

  function wheel(event: WheelEvent) {
    event.preventDefault();
    // Lines and pages, as some mice count, in pixels; a pinch on a touchpad comes with Ctrl.
    const pixels = event.deltaY * ([1, 16, 400][event.deltaMode] ?? 1);
    gestures.zoom(Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.0016)), ...place(event));
  }

  // A finger leaves with every tap; what it showed stays.
  const leave = (event: PointerEvent) => {
    if (event.pointerType === 'mouse') gestures.hover(null);
  };
  element.addEventListener('pointerdown', down);
  element.addEventListener('pointermove', move);
  element.addEventListener('pointerup', up);
  element.addEventListener('pointercancel', up);
  element.addEventListener('pointerleave', leave);
  element.addEventListener('wheel', wheel, { passive: false });
  return () => {
    element.removeEventListener('pointerdown', down);
    element.removeEventListener('pointermove', move);
    element.removeEventListener('pointerup', up);
    element.removeEventListener('pointercancel', up);
    element.removeEventListener('pointerleave', leave);
    element.removeEventListener('wheel', wheel);
  };
}
