import { describe, expect, it } from 'vitest';
import type { Token } from '../api/types';
import { ByteText, findBytes, toPieces } from './utf8';

const token = (position: number, start: number, end: number): Token => ({
  position,
  id: 0,
  text: '',
  start,
  end,
  role: 'user',
  part: 'query',
  special: false,
  features: [],
});

const tokens = (...ranges: [number, number][]) => ranges.map(([a, b], i) => token(i, a, b));
const labels = (text: string, ...ranges: [number, number][]) =>
  toPieces(tokens(...ranges), text).map(({ label, partial }) => (partial ? `~${label}` : label));

describe('pieces', () => {
  it('are the tokens where these end at characters', () => {
    expect(labels('I say नमस्ते', [0, 1], [1, 5], [5, 12], [12, 24])).toEqual([
      'I',
      ' say',
      ' नम',
      'स्ते',
    ]);
  });

  it('show a character of three bytes once when three tokens share it', () => {
    expect(labels('a你b', [0, 1], [1, 2], [2, 3], [3, 4], [4, 5])).toEqual([
      'a',
      '~你',
      '~',
      '~',
      'b',
    ]);
  });

  it('show it once when each of the tokens claims the whole of it', () => {
    expect(labels('你好', [0, 3], [0, 3], [3, 6])).toEqual(['你', '~', '好']);
  });

  it('show it at its last token when the others came empty', () => {
    expect(labels('x🙂', [0, 1], [1, 1], [1, 1], [1, 5])).toEqual(['x', '~', '~', '🙂']);
  });

  it('keep what a token has beside the shared character', () => {
    expect(labels('你 b', [0, 2], [2, 5])).toEqual(['~你', '~ b']);
  });

  it('keep text between tokens', () => {
    const pieces = toPieces(tokens([0, 2], [3, 5]), 'ab cd');
    expect(pieces.map(({ gap, label }) => [gap, label])).toEqual([
      ['', 'ab'],
      [' ', 'cd'],
    ]);
  });

  it('give the whole text when joined, wherever the cuts are', () => {
    const text = 'Zürich 東京 मुंबई 🇮🇳 عربي';
    const n = new ByteText(text).bytes.length;
    for (let step = 1; step <= 5; step++) {
      const ranges: [number, number][] = [];
      for (let at = 0; at < n; at += step) ranges.push([at, Math.min(n, at + step)]);
      const pieces = toPieces(tokens(...ranges), text);
      expect(pieces.map(({ gap, label }) => gap + label).join('')).toBe(text);
    }
  });

  it('survive offsets outside the text', () => {
    expect(labels('ab', [0, 2], [2, 9], [40, 50])).toEqual(['ab', '~', '~']);
  });
});

it('finds every place of a part in bytes', () => {
  expect(findBytes('東京 is 東京', '東京')).toEqual([
    { start: 0, end: 6 },
    { start: 10, end: 16 },
  ]);
  expect(findBytes('abc', '')).toEqual([]);
});
