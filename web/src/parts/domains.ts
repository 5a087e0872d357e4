// The four domains of the published system, in the order in which everything lists them. An atlas
// may name others: they share one colour.

import { tOr } from '../i18n/index.svelte';

export const domains = ['politics', 'pornography', 'violence', 'terror'] as const;

/** The style sheet's variable of a domain: give it to `var()` or to `colour()`. */
export function domainVariable(domain: string | null | undefined): string {
  if (!domain) return '--domain-none';
  return (domains as readonly string[]).includes(domain) ? `--domain-${domain}` : '--domain-other';
}

export const domainColour = (domain: string | null | undefined) => `var(${domainVariable(domain)})`;

export const domainName = (domain: string) => tOr(`domain.${domain}`, domain);

/** A finest concept: "violence/insult", or a domain by itself. */
export function conceptName(concept: string): string {
  const [domain = '', subclass] = concept.split('/');
  return subclass ? subclassName(subclass) : domainName(domain);
}

export const subclassName = (subclass: string) =>
  tOr(`subclass.${subclass}`, subclass.replaceAll('_', ' '));
