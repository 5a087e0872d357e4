// The overview of a trace: layers over tokens, each cell the strongest firing of that layer there.

import type { Token, Trace } from '../api/types';
import { shownFirings, tintsByLayer, type ColourBy, type Filter, type Tint } from './firing';

export interface Strip {
  /** Of the rows, the highest layer first. */
  layers: number[];
  tokens: readonly Token[];
  cells: { row: number; column: number; tint: Tint }[];
}

export function stripOf(trace: Trace, filter: Filter, by: ColourBy): Strip {
  const layers = [...new Set(trace.features.map(({ layer }) => layer))].sort((a, b) => b - a);
  const rowOf = new Map(layers.map((layer, row) => [layer, row]));
  const cells = trace.tokens.flatMap((token, column) => {
    const tints = tintsByLayer(shownFirings(token, trace.features, filter), by);
    return [...tints].map(([layer, tint]) => ({ row: rowOf.get(layer) ?? 0, column, tint }));
  });
  return { layers, tokens: trace.tokens, cells };
}

/** How solid a cell is: what fires at all must be seen. */
export const opacity = (strength: number) => 0.18 + 0.82 * strength;
