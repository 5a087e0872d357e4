// What the map's painters draw. Both paint the same picture: WebGL on the graphics card, the other
// into an image by hand.

import { type Camera, type Size } from './camera';

export type Colour = readonly [number, number, number];

/** How much a point stands out; also the order of painting. */
export const dim = 0;
export const plain = 1;
export const bright = 2;

export interface Cloud {
  /** 0..1 */
  xs: Float32Array;
  ys: Float32Array;
  /** An index into the palette. */
  colours: Uint8Array;
  /** dim, plain or bright. */
  weights: Uint8Array;
}

export interface Look {
  palette: readonly Colour[];
  ground: Colour;
  /** Of a plain point, in pixels of the canvas. */
  radius: number;
}

/** Size and camera are in pixels of the canvas. A painter owns its canvas until it is destroyed. */
export interface Painter {
  readonly kind: 'webgl' | 'canvas';
  /** Takes a cloud in; call it again when any of its arrays changed. */
  take(cloud: Cloud): void;
  paint(camera: Camera, size: Size, look: Look): void;
  destroy(): void;
}

export const radiusShares = [0.85, 1, 1.45] as const;

/** The points by rising weight, in each those of colour 0 first, else in their own order. */
export function paintOrder({ weights, colours }: Pick<Cloud, 'weights' | 'colours'>): Uint32Array {
  const keys = weights.map((weight, i) => 2 * weight + Math.min(1, colours[i] ?? 0));
  const next = new Uint32Array(7);
  for (const key of keys) next[key + 1] = (next[key + 1] ?? 0) + 1;
  for (let key = 0; key < 6; key++) next[key + 1] = (next[key + 1] ?? 0) + (next[key] ?? 0);
  const order = new Uint32Array(weights.length);
  keys.forEach((key, i) => {
    const at = next[key] ?? 0;
    order[at] = i;
    next[key] = at + 1;
  });
  return order;
}

/** Dim points keep a quarter of their colour. Indexed by weight, then colour. */
export function shades({ palette, ground }: Look): Colour[][] {
  const faded = palette.map(
    (colour) => colour.map((part, i) => part * 0.25 + (ground[i] ?? 0) * 0.75) as unknown as Colour,
  );
  return [faded, [...palette], [...palette]];
}

/** Small where there are many, larger as one comes near. In CSS pixels. */
export function pointRadius(n: number, zoom: number): number {
  const base = n <= 1000 ? 3.6 : n <= 10000 ? 2.6 : n <= 40000 ? 1.9 : 1.4;
  return Math.min(7, base * (1 + 0.28 * Math.log2(Math.max(1, zoom))));
}
