// The overview as a figure for a paper: SVG text, or that drawn as PNG.

import type { Strip } from './strip';
import { opacity } from './strip';

export interface FigureStyle {
  ink: string;
  muted: string;
  ground: string;
  line: string;
  /** The colour of a domain, or of none. */
  domain: (domain: string | null) => string;
  /** What the axes and the legend say. */
  layer: string;
  domainName: (domain: string | null) => string;
}

const escaped = (text: string) =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    // XML has no place for other control characters.
    // eslint-disable-next-line no-control-regex
    .replace(/[\u0000-\u001f\ufffe\uffff]/g, ' ');

const cell = { width: 18, height: 16 };
const longest = 24;

export function figureSvg(strip: Strip, labels: readonly string[], style: FigureStyle): string {
  const { layers, cells } = strip;
  const shown = labels.map((label) => label.trim().slice(0, longest) || '·');
  // Labels hang down to the right, at about 7 units a letter.
  const hang = 7 * Math.max(1, ...shown.map((label) => label.length));
  const margin = { left: 44, top: 34, bottom: 24 + 0.77 * hang, right: 12 + 0.65 * hang };
  const width = margin.left + labels.length * cell.width + margin.right;
  const height = margin.top + layers.length * cell.height + margin.bottom;
  const floor = margin.top + layers.length * cell.height;
  const rects = cells.map(({ row, column, tint }) => {
    const x = margin.left + column * cell.width;
    const y = margin.top + row * cell.height;
    return `<rect x="${x}" y="${y}" width="${cell.width - 1}" height="${cell.height - 1}" fill="${style.domain(tint.domain)}" fill-opacity="${opacity(tint.strength).toFixed(3)}"/>`;
  });
  const rows = layers.map((layer, row) => {
    const y = margin.top + (row + 0.75) * cell.height;
    return `<text x="${margin.left - 6}" y="${y}" text-anchor="end" fill="${style.muted}">${layer}</text>`;
  });
  const columns = shown.map((label, column) => {
    const x = margin.left + (column + 0.6) * cell.width;
    return `<text transform="translate(${x} ${floor + 10}) rotate(50)" fill="${style.ink}">${escaped(label)}</text>`;
  });
  const domains = [...new Set(cells.map(({ tint }) => tint.domain))].sort((a, b) =>
    (a ?? '~').localeCompare(b ?? '~'),
  );
  const legend = domains.map((domain, i) => {
    const x = margin.left + i * 100;
    return `<rect x="${x}" y="8" width="10" height="10" fill="${style.domain(domain)}"/><text x="${x + 15}" y="17" fill="${style.ink}">${escaped(style.domainName(domain))}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${Math.max(width, 560)} ${height}" width="${Math.max(width, 560)}" height="${height}" font-family="Inter, Noto Sans, sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="${style.ground}"/>`,
    ...legend,
    `<text x="8" y="${margin.top - 6}" fill="${style.muted}">${escaped(style.layer)}</text>`,
    `<path d="M${margin.left} ${margin.top}V${floor}H${width - margin.right}" fill="none" stroke="${style.line}"/>`,
    ...rows,
    ...rects,
    ...columns,
    '</svg>',
  ].join('\n');
}

export async function toPng(svg: string, scale = 2): Promise<Blob> {
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth * scale;
    canvas.height = image.naturalHeight * scale;
    canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) =>
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('no picture')))),
    );
  } finally {
    URL.revokeObjectURL(url);
  }
}
