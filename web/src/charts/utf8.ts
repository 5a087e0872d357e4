// The server counts in UTF-8 bytes, the page in UTF-16 units.

/** A stretch of text that may be shown by itself, and the tokens [first, last] it consists of. */
export interface Piece {
  text: string;
  first: number;
  last: number;
}

const byteLength = (point: number) =>
  point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

/**
 * For each byte of `text`, and one behind the last, the UTF-16 index at which its character begins.
 * `whole[b]` is 1 where a character begins at byte b.
 */
function characterStarts(text: string): { at: Uint32Array; whole: Uint8Array } {
  let bytes = 0;
  for (const character of text) bytes += byteLength(character.codePointAt(0) ?? 0);
  const at = new Uint32Array(bytes + 1);
  const whole = new Uint8Array(bytes + 1);
  let byte = 0;
  let index = 0;
  for (const character of text) {
    const length = byteLength(character.codePointAt(0) ?? 0);
    at.fill(index, byte, byte + length);
    whole[byte] = 1;
    byte += length;
    index += character.length;
  }
  at[bytes] = text.length;
  whole[bytes] = 1;
  return { at, whole };
}

/**
 * Cuts a text at its tokens' byte offsets (`starts` has one more entry than there are tokens).
 * Tokens that share a character make one piece, as no part of a character can be shown.
 */
export function cutTokens(text: string, starts: readonly number[]): Piece[] {
  const { at, whole } = characterStarts(text);
  const end = at.length - 1;
  const pieces: Piece[] = [];
  let begin = 0;
  let first = 0;
  for (let token = 0; token + 1 < starts.length; token++) {
    const border = Math.min(starts[token + 1] ?? end, end);
    const isLast = token + 2 === starts.length;
    if (!whole[border] && !isLast) continue;
    const stop = whole[border] ? (at[border] ?? 0) : text.length;
    if (stop > begin || isLast) pieces.push({ text: text.slice(begin, stop), first, last: token });
    else continue;
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
  const { at, whole } = characterStarts(text);
  const last = at.length - 1;
  let from = Math.min(Math.max(begin, 0), last);
  let to = Math.min(Math.max(end, from), last);
  while (!whole[from]) from++;
  while (!whole[to]) to--;
  return to <= from ? '' : text.slice(at[from], at[to]);
}
