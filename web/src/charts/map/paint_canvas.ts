// Paints points without a graphics card: discs are stamped into an image, one write a pixel.

import { scaleOf } from './camera';
import { paintOrder, radiusShares, shades, type Cloud, type Colour, type Painter } from './cloud';

/** A disc's pixels around its centre: offsets and how much of each is covered, 0..256. */
export interface Stamp {
  reach: number;
  dx: Int16Array;
  dy: Int16Array;
  coverage: Uint16Array;
}

export function discStamp(radius: number): Stamp {
  const reach = Math.ceil(radius + 0.5);
  const dx: number[] = [];
  const dy: number[] = [];
  const coverage: number[] = [];
  for (let y = -reach; y <= reach; y++)
    for (let x = -reach; x <= reach; x++) {
      const covered = Math.round(256 * Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y))));
      if (covered === 0) continue;
      dx.push(x);
      dy.push(y);
      coverage.push(covered);
    }
  return {
    reach,
    dx: Int16Array.from(dx),
    dy: Int16Array.from(dy),
    coverage: Uint16Array.from(coverage),
  };
}

/** As a pixel of an image's memory on little-endian machines, which all browsers run on. */
const pixel = ([r, g, b]: Colour) =>
  ((255 << 24) | (Math.round(b) << 16) | (Math.round(g) << 8) | Math.round(r)) >>> 0;

/** `coverage` 256ths of `over`, the rest `under`; two channels at a time. */
export function mix(under: number, over: number, coverage: number): number {
  const rest = 256 - coverage;
  const outer = ((under & 0xff00ff) * rest + (over & 0xff00ff) * coverage) >>> 8;
  const green = ((under & 0x00ff00) * rest + (over & 0x00ff00) * coverage) >>> 8;
  return (0xff000000 | (outer & 0xff00ff) | (green & 0x00ff00)) >>> 0;
}

export function canvasPainter(canvas: HTMLCanvasElement): Painter | null {
  const context = canvas.getContext('2d', { alpha: false });
  if (!context) return null;
  let cloud: Cloud | null = null;
  let order: Uint32Array = new Uint32Array();
  let image: ImageData | null = null;

  return {
    kind: 'canvas',
    take(next) {
      cloud = next;
      order = paintOrder(next);
    },
    paint(camera, size, look) {
      const { width, height } = size;
      if (!cloud || width < 1 || height < 1) return;
      if (image?.width !== width || image.height !== height) image = new ImageData(width, height);
      const pixels = new Uint32Array(image.data.buffer);
      pixels.fill(pixel(look.ground));
      const stamps = radiusShares.map((share) => discStamp(look.radius * share));
      const inks = shades(look).map((row) => Uint32Array.from(row, pixel));
      const scale = scaleOf(camera, size);
      const left = width / 2 - camera.x * scale;
      const top = height / 2 + camera.y * scale;
      const { xs, ys, colours, weights } = cloud;
      for (const point of order) {
        const cx = Math.round(left + (xs[point] as number) * scale);
        const cy = Math.round(top - (ys[point] as number) * scale);
        const weight = weights[point] as number;
        const { reach, dx, dy, coverage } = stamps[weight] as Stamp;
        if (cx < -reach || cy < -reach || cx >= width + reach || cy >= height + reach) continue;
        const ink = inks[weight]?.[colours[point] as number] ?? 0;
        const inside = cx >= reach && cy >= reach && cx < width - reach && cy < height - reach;
        for (let i = 0; i < coverage.length; i++) {
          const x = cx + (dx[i] as number);
          const y = cy + (dy[i] as number);
          if (!inside && (x < 0 || y < 0 || x >= width || y >= height)) continue;
          const at = y * width + x;
          const covered = coverage[i] as number;
          pixels[at] = covered === 256 ? ink : mix(pixels[at] as number, ink, covered);
        }
      }
      context.putImageData(image, 0, 0);
    },
    destroy() {
      image = null;
      cloud = null;
    },
  };
}
