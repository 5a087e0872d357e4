import { describe, expect, it } from 'vitest';
import { hrefOf, parsePlace, withChanges } from './router';

describe('a place', () => {
  it('comes back from its address', () => {
    const href = hrefOf(['feature', 'mlp_out.15:1234'], { q: 'a & b? 你 #1', token: 3 });
    const { page, rest, query } = parsePlace(href);
    expect(page).toBe('feature');
    expect(rest).toEqual(['mlp_out.15:1234']);
    expect(Object.fromEntries(query)).toEqual({ q: 'a & b? 你 #1', token: '3' });
  });

  it('is Inspect where nothing is named', () => {
    for (const hash of ['', '#', '#/', '#/?q=x']) expect(parsePlace(hash).page).toBe('inspect');
    expect(parsePlace('#/?q=x').query.get('q')).toBe('x');
  });

  it('stands a broken address', () => {
    expect(parsePlace('#/feature/%E0%A4').rest).toEqual(['%E0%A4']);
  });
});

it('leaves defaults out of the address', () => {
  const query = withChanges(new URLSearchParams('a=1&b=2'), {
    a: null,
    b: 0,
    c: false,
    d: '',
    e: true,
    f: undefined,
  });
  expect(query.toString()).toBe('b=0&e=true');
});
