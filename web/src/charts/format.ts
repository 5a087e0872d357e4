// Numbers short enough for an axis or a table, the same in all languages.

export function short(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  const size = Math.abs(value);
  if (size >= 1e6) return `${trim(value / 1e6)}M`;
  if (size >= 1e4) return `${trim(value / 1e3)}k`;
  if (size >= 100) return String(Math.round(value));
  if (size === 0) return '0';
  if (size < 1e-3) return value.toExponential(1).replace('e-', 'e−');
  return trim(value, size < 0.1 ? 4 : size < 10 ? 2 : 1);
}

const trim = (value: number, digits = 1) =>
  value
    .toFixed(digits)
    .replace(/\.?0+$/, '')
    .replace('-', '−');

/** A share as a percentage with two or three significant digits. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined || Number.isNaN(share)) return '–';
  const value = share * 100;
  return `${value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value >= 0.01 || value === 0 ? trim(value, 2) : value.toExponential(0).replace('e-', 'e−')} %`;
}
