import { expect, it } from 'vitest';
import type { Trace } from '../api/types';
import { toCsv, traceCsv } from './export';
import { noFilter } from './firing';

it('quotes only what must be quoted', () => {
  expect(toCsv([['a', 'b,c', 'say "x"', 'two\nlines', null, 1.5]])).toBe(
    'a,"b,c","say ""x""","two\nlines",,1.5\r\n',
  );
});

it('makes no formula of text', () => {
  expect(toCsv([['=1+1', '+a', '-b', '@c', -0.5, 'a=b']])).toBe("'=1+1,'+a,'-b,'@c,-0.5,a=b\r\n");
});

const trace: Trace = {
  model: 'm',
  text: 'a,你',
  seconds: 0,
  features: [
    {
      id: 1,
      name: 'mlp_out.2:7',
      sae: 'mlp_out.2/topk-k8',
      site: 'mlp_out.2',
      layer: 2,
      index: 7,
      explanation: { en: 'commas' },
      score: 0.5,
      domains: ['politics', 'terror'],
      quantile: 4,
    },
  ],
  tokens: [
    {
      position: 0,
      id: 3,
      text: 'a,',
      start: 0,
      end: 2,
      role: 'user',
      part: 'query',
      special: false,
      features: [{ feature: 0, activation: 2, normalised: 0.5 }],
    },
    {
      position: 1,
      id: 4,
      text: '你',
      start: 2,
      end: 5,
      role: 'user',
      part: 'query',
      special: true,
      features: [],
    },
  ],
};

it('writes a row a firing and keeps silent tokens', () => {
  const lines = traceCsv(trace, noFilter, 'en').trimEnd().split('\r\n');
  expect(lines.slice(1)).toEqual([
    '0,3,"a,",0,2,user,query,0,mlp_out.2/topk-k8,2,7,2,0.5,0.5,politics terror,commas',
    '1,4,你,2,5,user,query,1,,,,,,,,',
  ]);
  expect(new Set(lines.map((line) => line.replace(/"[^"]*"/g, '').split(',').length))).toEqual(
    new Set([16]),
  );
});

it('keeps to the filter', () => {
  expect(traceCsv(trace, { ...noFilter, minScore: 0.6 }, 'en')).not.toContain('commas');
});
