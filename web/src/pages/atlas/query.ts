// The atlas page's state is its address; this reads the one from the other.

import type { FeatureOrder, FeatureQuery } from '../../api/types';

export const orders: FeatureOrder[] = [
  'score',
  'relevance',
  'effect',
  'density',
  'max_activation',
  'place',
];

const isOrder = (text: string | null): text is FeatureOrder =>
  orders.some((order) => order === text);

function number(text: string | null): number | undefined {
  if (text === null || text.trim() === '') return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

const yesNo = (text: string | null) => (text === 'yes' ? true : text === 'no' ? false : undefined);

/** What of an address does not make sense is left out. Densities stand there in percent. */
export function toQuery(address: URLSearchParams): FeatureQuery {
  const word = (name: string) => address.get(name)?.trim() || undefined;
  const share = (name: string) => {
    const value = number(address.get(name));
    return value === undefined ? undefined : value / 100;
  };
  const text = word('text');
  const order = address.get('order');
  return {
    text,
    domains: word('domains'),
    subclass: word('subclass'),
    sae: word('sae'),
    site: word('site'),
    layer: number(address.get('layer')),
    min_score: number(address.get('min_score')),
    max_score: number(address.get('max_score')),
    min_density: share('min_density'),
    max_density: share('max_density'),
    explained: yesNo(address.get('explained')),
    sufficient: yesNo(address.get('sufficient')),
    order: isOrder(order) ? order : text ? 'relevance' : 'score',
    ascending: address.get('ascending') === 'yes' || undefined,
  };
}

/** The same without what only orders, or names a domain: for counts of all domains. */
export function acrossDomains(query: FeatureQuery): FeatureQuery {
  return {
    ...query,
    domains: undefined,
    subclass: undefined,
    order: undefined,
    ascending: undefined,
    language: undefined,
  };
}

/** The parameters that filter: what `clear` takes out of the address. */
export const filterNames = [
  'text',
  'domains',
  'subclass',
  'sae',
  'site',
  'layer',
  'min_score',
  'max_score',
  'min_density',
  'max_density',
  'explained',
  'sufficient',
] as const;
