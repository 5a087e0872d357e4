import { expect, test } from 'vitest';
import type { Landscape } from '../../api/types';
import { bright, dim, plain } from '../../charts/map/cloud';
import {
  colourIndices,
  countDomains,
  domainOf,
  ramp,
  rampSteps,
  weightsOf,
  type Emphasis,
} from './colouring';

const landscape: Landscape = {
  n: 4,
  ids: [1, 2, 3, 4],
  x: [0, 0, 1, 1],
  y: [0, 1, 0, 1],
  layer: [7, 15, 23, 23],
  domain: [0, 0b01, 0b10, 0b11],
  score: [null, 0, 0.5, 1],
  sae: [0, 1, 2, 2],
  index: [5, 6, 7, 8],
  domain_names: ['terror', 'violence'],
  sae_names: ['a', 'b', 'c'],
};

const none: Emphasis = { domains: [], sae: null, found: null, selected: new Set() };

test('a feature of several domains has the colour of the one wanted', () => {
  expect(domainOf(0, [])).toBe(-1);
  expect(domainOf(0b11, [])).toBe(0);
  expect(domainOf(0b11, [1])).toBe(1);
  expect(domainOf(0b10, [0])).toBe(1);
  expect([...colourIndices(landscape, 'domain', [1])]).toEqual([0, 1, 2, 2]);
});

test('layers and scores go along a ramp, the unknown have a colour of their own', () => {
  expect([...colourIndices(landscape, 'score', [])]).toEqual([0, 1, 1 + rampSteps / 2, rampSteps]);
  expect([...colourIndices(landscape, 'layer', [])]).toEqual([
    1,
    1 + rampSteps / 2,
    rampSteps,
    rampSteps,
  ]);
  expect(ramp([0, 0, 0], [70, 0, 0], 8).map(([red]) => red)).toEqual([
    0, 10, 20, 30, 40, 50, 60, 70,
  ]);
});

test('what no filter admits is dim, what was found or selected bright', () => {
  expect([...weightsOf(landscape, none)]).toEqual([plain, plain, plain, plain]);
  expect([...weightsOf(landscape, { ...none, domains: [1] })]).toEqual([dim, dim, plain, plain]);
  expect([...weightsOf(landscape, { ...none, sae: 2, selected: new Set([0, 3]) })]).toEqual([
    dim,
    dim,
    plain,
    bright,
  ]);
  expect([...weightsOf(landscape, { ...none, found: new Set([1]) })]).toEqual([
    dim,
    bright,
    dim,
    dim,
  ]);
});

test('counts each domain of a selection, and those without', () => {
  expect(countDomains(landscape, [0, 2, 3])).toEqual([
    { bit: 1, n: 2 },
    { bit: 0, n: 1 },
    { bit: -1, n: 1 },
  ]);
});
