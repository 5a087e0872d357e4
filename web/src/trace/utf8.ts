// Tokens are cut at bytes, people read characters. This maps the one to the other.

import type { Token } from '../api/types';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A text addressed by UTF-8 bytes. */
export class ByteText {
  readonly bytes: Uint8Array;

  constructor(text: string) {
    this.bytes = encoder.encode(text);
  }

  slice(start: number, end: number): string {
    return decoder.decode(this.bytes.subarray(start, end));
  }

  /** The first byte of the character that holds byte `at`. */
  charStart(at: number): number {
    let i = Math.min(at, this.bytes.length);
    while (i > 0 && this.isContinuation(i)) i--;
    return i;
  }

  /** The end of the character of which `at` may cut off the last bytes. */
  charEnd(at: number): number {
    let i = Math.min(at, this.bytes.length);
    while (this.isContinuation(i)) i++;
    return i;
  }

  private isContinuation(i: number): boolean {
    return ((this.bytes[i] ?? 0) & 0xc0) === 0x80;
  }
}

export interface Piece {
  token: Token;
  /** Text that belongs to no token and stands before this one. */
  gap: string;
  /** What this token's box shows. Of a character cut by tokens, the first that reaches it shows
      it whole and the others show nothing: read in order, the boxes give the text once. */
  label: string;
  /** The token holds only part of some character. */
  partial: boolean;
}

export function toPieces(tokens: readonly Token[], text: string): Piece[] {
  const whole = new ByteText(text);
  let shown = tokens[0] ? whole.charStart(tokens[0].start) : 0;
  return tokens.map((token) => {
    if (token.end <= token.start) return { token, gap: '', label: '', partial: true };
    const first = whole.charStart(token.start);
    const last = whole.charEnd(token.end);
    const from = Math.max(first, shown);
    const gap = first > shown ? whole.slice(shown, first) : '';
    const label = from < last ? whole.slice(from, last) : '';
    shown = Math.max(shown, last);
    const partial = first < token.start || last > token.end || label === '';
    return { token, gap, label, partial };
  });
}

/** The byte ranges of every place where `part` stands in `text`. */
export function findBytes(text: string, part: string): { start: number; end: number }[] {
  const ranges = [];
  const length = encoder.encode(part).length;
  for (let at = text.indexOf(part); part && at >= 0; at = text.indexOf(part, at + part.length)) {
    const start = encoder.encode(text.slice(0, at)).length;
    ranges.push({ start, end: start + length });
  }
  return ranges;
}

/** White space that would not be seen, made visible. */
export const visible = (label: string) => label.replace(/\n/g, '↵\n').replace(/\t/g, '⇥\t');
