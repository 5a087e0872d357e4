// The server counts in UTF-8 bytes, people read characters. This maps the one to the other.

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A text addressed by UTF-8 bytes. */
export class ByteText {
  readonly bytes: Uint8Array;

  constructor(text: string) {
    this.bytes = encoder.encode(text);
  }

  get length(): number {
    return this.bytes.length;
  }

  slice(start: number, end: number): string {
    return decoder.decode(this.bytes.subarray(start, end));
  }

  /** Whether a character begins at byte `at`, or the text ends there. */
  isBorder(at: number): boolean {
    return at >= this.length || ((this.bytes[at] ?? 0) & 0xc0) !== 0x80;
  }

  /** The first byte of the character that holds byte `at`. */
  charStart(at: number): number {
    let i = Math.min(at, this.length);
    while (i > 0 && !this.isBorder(i)) i--;
    return i;
  }

  /** The end of the character of which `at` may cut off the last bytes. */
  charEnd(at: number): number {
    let i = Math.min(at, this.length);
    while (!this.isBorder(i)) i++;
    return i;
  }
}

/** A stretch of text that may be shown by itself, and the tokens [first, last] it consists of. */
export interface Piece {
  text: string;
  first: number;
  last: number;
}

/**
 * Cuts a text at its tokens' byte offsets (`starts` has one more entry than there are tokens).
 * Tokens that share a character make one piece, as no part of a character can be shown.
 */
export function cutTokens(text: string, starts: readonly number[]): Piece[] {
  const whole = new ByteText(text);
  const pieces: Piece[] = [];
  let begin = 0;
  let first = 0;
  for (let token = 0; token + 1 < starts.length; token++) {
    const border = Math.min(starts[token + 1] ?? whole.length, whole.length);
    const isLast = token + 2 === starts.length;
    if (!whole.isBorder(border) && !isLast) continue;
    const stop = whole.isBorder(border) ? border : whole.length;
    if (stop <= begin && !isLast) continue;
    pieces.push({ text: whole.slice(begin, stop), first, last: token });
    begin = stop;
    first = token + 1;
  }
  return pieces;
}

/** The tokens that reach into the bytes [begin, end), as [first, last]; null where none does. */
export function tokensWithin(
  starts: readonly number[],
  begin: number,
  end: number,
): [number, number] | null {
  let first = -1;
  let last = -1;
  for (let token = 0; token + 1 < starts.length; token++) {
    if ((starts[token + 1] ?? 0) <= begin || (starts[token] ?? 0) >= end) continue;
    if (first < 0) first = token;
    last = token;
  }
  return first < 0 ? null : [first, last];
}

/** The text of the bytes [begin, end); a character that is only partly inside counts as outside. */
export function sliceBytes(text: string, begin: number, end: number): string {
  const whole = new ByteText(text);
  const from = whole.charEnd(Math.max(begin, 0));
  const to = whole.charStart(Math.max(end, 0));
  return to <= from ? '' : whole.slice(from, to);
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
