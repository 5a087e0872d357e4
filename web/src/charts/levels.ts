// Activation levels, 0..10: linear between 0 and the feature's 0.999 quantile, rounded.

export const topLevel = 10;

export function levelOf(activation: number, quantile: number | null): number {
  if (!(activation > 0) || quantile === null || !(quantile > 0)) return 0;
  return Math.min(topLevel, Math.round((activation / quantile) * topLevel));
}

/** A simulator's value on the same scale: token simulators say levels, the others 0..1. */
export function simulatedLevel(value: number | null, scorer: string): number {
  if (value === null || Number.isNaN(value)) return 0;
  const level = scorer === 'token' ? value : value * topLevel;
  return Math.min(topLevel, Math.max(0, level));
}
