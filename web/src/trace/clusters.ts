// Tokens are cut at bytes, people read letters: which tokens must be drawn together.

import type { Token } from '../api/types';
import { ByteText } from '../charts/utf8';

/** Tokens that share characters, and the characters they share; mostly one token and its text. */
export interface Cluster {
  /** Text that belongs to no token and stands before this one. */
  gap: string;
  text: string;
  tokens: Token[];
}

interface Group {
  from: number;
  to: number;
  tokens: Token[];
}

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/**
 * A vowel sign must not be drawn apart from its letter, as it would be beside the divided box of a
 * group of several tokens: such a group takes in the neighbours with which it shares a letter.
 */
function joinGraphemes(groups: readonly Group[], text: string): readonly Group[] {
  if (groups.every(({ tokens }) => tokens.length === 1)) return groups;
  const starts = new Set<number>();
  let at = 0;
  for (const { segment } of segmenter.segment(text)) {
    starts.add(at);
    at += new ByteText(segment).length;
  }
  const joined: Group[] = [];
  for (const group of groups) {
    const last = joined.at(-1);
    const several = last && last.tokens.length + group.tokens.length > 2;
    const adjoins = last && last.to === group.from && group.from < group.to;
    if (several && adjoins && !starts.has(group.from) && group.from < at) {
      last.to = group.to;
      last.tokens.push(...group.tokens);
    } else {
      joined.push({ ...group, tokens: [...group.tokens] });
    }
  }
  return joined;
}

/**
 * Read in order, gaps and texts give the whole text once. Of the tokens of one character the first
 * of a query, and the last of a response, may have all of it and the others be empty; a special
 * token stays alone.
 */
export function toClusters(tokens: readonly Token[], text: string): Cluster[] {
  const whole = new ByteText(text);
  const groups: Group[] = [];
  let open = false;
  for (const token of tokens) {
    const last = open ? groups.at(-1) : undefined;
    const empty = token.end <= token.start;
    const from = whole.charStart(token.start);
    const to = empty ? from : whole.charEnd(token.end);
    const lastIsEmpty = last !== undefined && last.to <= last.from;
    const inLast = empty && token.part === 'query';
    if (last && !token.special && (lastIsEmpty || inLast || from < last.to)) {
      last.to = Math.max(last.to, to);
      last.tokens.push(token);
    } else {
      groups.push({ from, to, tokens: [token] });
    }
    open = !token.special;
  }
  const joined = joinGraphemes(groups, text);
  let shown = joined[0]?.from ?? 0;
  return joined.map(({ from, to, tokens }) => {
    const gap = whole.slice(shown, Math.max(shown, from));
    const text = whole.slice(Math.max(shown, from), Math.max(shown, to));
    shown = Math.max(shown, to);
    return { gap, text, tokens };
  });
}

/** How a cluster's text is divided among its tokens: by bytes where each has its own, else evenly. */
export function shares({ tokens }: Cluster): number[] {
  const lengths = tokens.map((token, i) => {
    const before = tokens[i - 1];
    return before && token.start < before.end ? 0 : token.end - token.start;
  });
  const total = lengths.reduce((sum, length) => sum + length, 0);
  return lengths.every((length) => length > 0)
    ? lengths.map((length) => length / total)
    : lengths.map(() => 1 / lengths.length);
}

/** White space that would not be seen, made visible. */
export const visible = (label: string) => label.replace(/\n/g, '↵\n').replace(/\t/g, '⇥\t');
