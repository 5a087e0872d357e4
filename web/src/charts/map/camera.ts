// The view of the plane: which part of it is on the canvas. The plane is 0..1 in both directions,
// y upwards; the canvas has its origin at the top left. `zoom` 1 shows the whole plane.

export interface Camera {
  x: number;
  y: number;
  zoom: number;
}

export interface Size {
  width: number;
  height: number;
}

export const wholePlane: Camera = { x: 0.5, y: 0.5, zoom: 1 };
export const maxZoom = 400;

/** Pixels a unit of the plane; a margin of 4 % stays around it. */
export const scaleOf = (camera: Camera, size: Size) =>
  Math.min(size.width, size.height) * 0.92 * camera.zoom;

export function toScreen(camera: Camera, size: Size, x: number, y: number): [number, number] {
  const scale = scaleOf(camera, size);
  return [size.width / 2 + (x - camera.x) * scale, size.height / 2 - (y - camera.y) * scale];
}

export function toPlane(camera: Camera, size: Size, px: number, py: number): [number, number] {
  const scale = scaleOf(camera, size);
  return [camera.x + (px - size.width / 2) / scale, camera.y - (py - size.height / 2) / scale];
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

export function pan(camera: Camera, size: Size, dx: number, dy: number): Camera {
  const scale = scaleOf(camera, size);
  return {
    ...camera,
    x: clamp(camera.x - dx / scale, 0, 1),
    y: clamp(camera.y + dy / scale, 0, 1),
  };
}

/** Zooms by `factor` so that what is under the pixel (px, py) stays there. */
export function zoomAt(camera: Camera, size: Size, factor: number, px: number, py: number): Camera {
  const zoom = clamp(camera.zoom * factor, 1, maxZoom);
  const [x, y] = toPlane(camera, size, px, py);
  const ratio = camera.zoom / zoom;
  return {
    zoom,
    x: clamp(x + (camera.x - x) * ratio, 0, 1),
    y: clamp(y + (camera.y - y) * ratio, 0, 1),
  };
}
