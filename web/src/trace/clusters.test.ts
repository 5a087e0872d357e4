import { describe, expect, it } from 'vitest';
import type { Token } from '../api/types';
import { ByteText, findBytes } from '../charts/utf8';
import { shares, toClusters } from './clusters';

type Range = [number, number];

const tokens = (part: Token['part'], ...ranges: Range[]): Token[] =>
  ranges.map(([start, end], position) => ({
    position,
    id: 0,
    text: '',
    start,
    end,
    role: 'user',
    part,
    special: false,
    features: [],
  }));

/** Each cluster's text, followed by its number of tokens where these are several. */
const clusters = (text: string, ...ranges: Range[]) => clustersOf('response', text, ...ranges);

function clustersOf(part: Token['part'], text: string, ...ranges: Range[]) {
  return toClusters(tokens(part, ...ranges), text).map(
    ({ text, tokens }) => text + (tokens.length > 1 ? tokens.length : ''),
  );
}
describe('clusters', () => {
  it('are the tokens where these end at characters', () => {
    expect(clusters('I say नमस्ते', [0, 1], [1, 5], [5, 12], [12, 24])).toEqual([
      'I',
      ' say',
      ' नम',
      'स्ते',
    ]);
  });

  it('hold the tokens that share a character', () => {
    expect(clusters('a你b', [0, 1], [1, 2], [2, 3], [3, 4], [4, 5])).toEqual(['a', '你3', 'b']);
    expect(clusters('你 b', [0, 2], [2, 5])).toEqual(['你 b2']);
  });

  it('hold them also when each claims the whole of it', () => {
    expect(clusters('你好', [0, 3], [0, 3], [3, 6])).toEqual(['你2', '好']);
  });

  it('join empty tokens to the one that has their bytes', () => {
    expect(clustersOf('query', '你好x', [0, 3], [3, 3], [3, 6], [6, 6], [6, 7])).toEqual([
      '你2',
      '好2',
      'x',
    ]);
    expect(clusters('x🙂y', [0, 1], [1, 1], [1, 1], [1, 5], [5, 6])).toEqual(['x', '🙂3', 'y']);
    expect(clusters('x', [0, 1], [1, 1], [1, 1])).toEqual(['x', '2']);
  });

  it('take in the vowel sign of a letter that is in pieces', () => {
    const letters: Range[] = [
      [0, 2],
      [2, 3],
      [3, 6],
      [6, 9],
      [9, 12],
    ];
    expect(clusters('चारा', ...letters)).toEqual(['चा3', 'र', 'ा']);
  });

  it('leave a special token alone', () => {
    const cut = tokens('query', [0, 1], [1, 1], [1, 2]);
    cut[1]!.special = true;
    expect(toClusters(cut, 'ab').map(({ text }) => text)).toEqual(['a', '', 'b']);
  });

  it('keep text between tokens', () => {
    const cut = toClusters(tokens('query', [0, 2], [3, 5]), 'ab cd');
    expect(cut.map(({ gap, text }) => [gap, text])).toEqual([
      ['', 'ab'],
      [' ', 'cd'],
    ]);
  });

  it('give the whole text and every token once, wherever the cuts are', () => {
    const text = 'Zürich 東京 मुंबई 🇮🇳 عربي';
    const n = new ByteText(text).bytes.length;
    for (let step = 1; step <= 5; step++) {
      const ranges: Range[] = [];
      for (let at = 0; at < n; at += step) ranges.push([at, Math.min(n, at + step)]);
      const cut = toClusters(tokens('query', ...ranges), text);
      expect(cut.map(({ gap, text }) => gap + text).join('')).toBe(text);
      expect(cut.flatMap(({ tokens }) => tokens.map(({ position }) => position))).toEqual(
        ranges.map((_, i) => i),
      );
    }
  });

  it('survive offsets outside the text', () => {
    expect(clusters('ab', [0, 2], [2, 9], [40, 50])).toEqual(['ab', '2']);
  });
});

it('divides a cluster by bytes, or evenly where tokens overlap', () => {
  const of = (...ranges: Range[]) =>
    shares({ gap: '', text: '', tokens: tokens('query', ...ranges) });
  expect(of([0, 1], [1, 4])).toEqual([0.25, 0.75]);
  expect(of([0, 3], [0, 3])).toEqual([0.5, 0.5]);
  expect(of([1, 1], [1, 4])).toEqual([0.5, 0.5]);
});

it('finds every place of a part in bytes', () => {
  expect(findBytes('東京 is 東京', '東京')).toEqual([
    { start: 0, end: 6 },
    { start: 10, end: 16 },
  ]);
  expect(findBytes('abc', '')).toEqual([]);
});
