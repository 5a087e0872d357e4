import { expect, test } from 'vitest';
import { cutTokens, sliceBytes, tokensWithin } from './utf8';

const bytes = (text: string) => new TextEncoder().encode(text).length;

test('cuts at bytes, not at UTF-16 units', () => {
  const words = ['naïve', ' 战争', ' शांति', ' 🕊', '!'];
  const starts = [0];
  for (const word of words) starts.push((starts.at(-1) ?? 0) + bytes(word));
  expect(cutTokens(words.join(''), starts).map((piece) => piece.text)).toEqual(words);
});

test('keeps a character whole that several tokens share', () => {
  // 🕊 is four bytes: tokens end after one, three and four of them.
  expect(cutTokens('a🕊b', [0, 1, 2, 4, 5, 6])).toEqual([
    { text: 'a', first: 0, last: 0 },
    { text: '🕊', first: 1, last: 3 },
    { text: 'b', first: 4, last: 4 },
  ]);
});

test('gives a token without text to its neighbour and loses no text', () => {
  expect(cutTokens('ab', [0, 0, 1, 2])).toEqual([
    { text: 'a', first: 0, last: 1 },
    { text: 'b', first: 2, last: 2 },
  ]);
  const cut = cutTokens('战争', [0, 3, 99]);
  expect(cut.map((piece) => piece.text).join('')).toBe('战争');
  expect(cutTokens('', [0])).toEqual([]);
});

test('finds the tokens of a stretch of bytes', () => {
  const starts = [0, 4, 9, 12];
  expect(tokensWithin(starts, 4, 9)).toEqual([1, 1]);
  expect(tokensWithin(starts, 3, 10)).toEqual([0, 2]);
  expect(tokensWithin(starts, 12, 20)).toBeNull();
});

test('slices whole characters only', () => {
  expect(sliceBytes('战争 war', 0, 6)).toBe('战争');
  expect(sliceBytes('战争 war', 1, 7)).toBe('争 ');
  expect(sliceBytes('战争', 1, 2)).toBe('');
  expect(sliceBytes('ab', 1, 99)).toBe('b');
});
