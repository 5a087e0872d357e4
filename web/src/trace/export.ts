// A trace as a file that other tools read.

import type { Trace } from '../api/types';
import { explanationOf, shownFirings, type Filter } from './firing';

/**
 * RFC 4180: a cell is quoted where it must be, lines end in CRLF. Text that a spreadsheet would run
 * as a formula gets an apostrophe in front: tokens and explanations come from anywhere.
 */
export function toCsv(rows: readonly (readonly (string | number | null)[])[]): string {
  const cell = (value: string | number | null) => {
    let text = value === null ? '' : String(value);
    if (typeof value === 'string' && /^[=+\-@\t\r]/.test(value)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(',') + '\r\n').join('');
}

const columns = [
  'position',
  'token_id',
  'token',
  'start_byte',
  'end_byte',
  'role',
  'part',
  'special',
  'sae',
  'layer',
  'feature',
  'activation',
  'normalised',
  'score',
  'domains',
  'explanation',
];

/** One row a firing; a token on which nothing shown fires has one row with empty cells. */
export function traceCsv(trace: Trace, filter: Filter, language: string): string {
  const rows = trace.tokens.flatMap((token) => {
    const place = [
      token.position,
      token.id,
      token.text,
      token.start,
      token.end,
      token.role,
      token.part,
      token.special ? 1 : 0,
    ];
    const shown = shownFirings(token, trace.features, filter);
    if (shown.length === 0) return [[...place, ...new Array<null>(8).fill(null)]];
    return shown.map(({ of, activation, normalised }) => [
      ...place,
      of.sae,
      of.layer,
      of.index,
      activation,
      normalised,
      of.score,
      of.domains.join(' '),
      explanationOf(of, language),
    ]);
  });
  return toCsv([columns, ...rows]);
}

export function download(name: string, content: Blob | string, type = 'text/plain') {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken its own reference by the next turn of the loop.
  setTimeout(() => URL.revokeObjectURL(link.href));
}
