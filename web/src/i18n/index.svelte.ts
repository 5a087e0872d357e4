// What the interface says. Keys are typed; each page keeps its own in a file a language.

import { en } from './en';
import { zh } from './zh';

export type Key = keyof typeof en;

const tables = { en, zh } satisfies Record<string, Record<Key, string>>;
export type Language = keyof typeof tables;
export const languages: Record<Language, string> = { en: 'English', zh: '中文' };

const kept = 'safesail.language';

function preferred(): Language {
  const wishes = [localStorage.getItem(kept), ...navigator.languages];
  const first = wishes.map((wish) => wish?.slice(0, 2)).find((wish) => wish && wish in tables);
  return (first ?? 'en') as Language;
}

const state = $state({ language: preferred() });

export const language = {
  get current() {
    return state.language;
  },
  set(next: Language) {
    state.language = next;
    localStorage.setItem(kept, next);
  },
};

/** The sentence of a key, with each `{name}` filled in. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const sentence: string = tables[state.language][key];
  return sentence.replace(/\{(\w+)\}/g, (hole, name: string) => String(values[name] ?? hole));
}

/** A key made at run time, as `domain.` + name; the fallback where the language has no such key. */
export function tOr(key: string, fallback: string): string {
  return key in tables[state.language] ? t(key as Key) : fallback;
}

/** Digits that do not change width or sign with the language; a dash for what is unknown. */
export function number(value: number | null | undefined, digits = 2): string {
  return value === null || value === undefined || Number.isNaN(value) ? '–' : value.toFixed(digits);
}

export function count(value: number): string {
  return value.toLocaleString(state.language);
}
