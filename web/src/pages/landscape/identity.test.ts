import { expect, test } from 'vitest';
import type { Landscape } from '../../api/types';
import { bySae, identityOf } from './identity';

const landscape = {
  ids: [71, 72, 73],
  sae: [1, 0, 1],
  index: [5, 6, 7],
  sae_names: ['layers.10.mlp', '6-res-jb'],
} as unknown as Landscape;

test('a point is linked by its id, whatever its SAE is called', () => {
  expect(identityOf(landscape, 0, undefined)).toEqual({
    id: 71,
    sae: '6-res-jb',
    name: '6-res-jb:5',
    href: '#/feature/71',
  });
  expect(identityOf(landscape, 0, { name: 'resid_pre.6:5' }).name).toBe('resid_pre.6:5');
});

test('points are told apart by SAE, the most first', () => {
  expect(bySae(landscape, [0, 1, 2])).toEqual([
    [1, [0, 2]],
    [0, [1]],
  ]);
  expect(bySae(landscape, [])).toEqual([]);
});
