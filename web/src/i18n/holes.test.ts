import { expect, it } from 'vitest';
import { en } from './en';
import { zh } from './zh';

const holes = (sentence: string) => [...sentence.matchAll(/\{\w+\}/g)].map(String).sort();

it('says in each language what each sentence is given to say', () => {
  for (const [key, sentence] of Object.entries<string>(en))
    expect([key, ...holes(zh[key as keyof typeof en])]).toEqual([key, ...holes(sentence)]);
});

it('leaves nothing unsaid', () => {
  for (const table of [en, zh])
    expect(Object.entries<string>(table).filter(([, sentence]) => !sentence.trim())).toEqual([]);
});
