// The current place, as the address has it. Pages read `place` and write it with `go` and `change`.

import { hrefOf, parsePlace, withChanges, type Changes, type Place } from './router';

let current = $state.raw(parsePlace(location.hash));

// Fires for links and for Back, not for what `write` does.
window.addEventListener('popstate', () => {
  current = parsePlace(location.hash);
});

export const place = {
  get page() {
    return current.page;
  },
  get rest() {
    return current.rest;
  },
  get query() {
    return current.query;
  },
};

function write(next: Place, replace: boolean) {
  const href = hrefOf([next.page, ...next.rest], Object.fromEntries(next.query));
  if (href === location.hash) return;
  if (replace) history.replaceState(null, '', href);
  else history.pushState(null, '', href);
  current = next;
}

/** To another page, as a step that Back undoes. */
export function go(path: string | (string | number)[], query: Changes = {}) {
  write(parsePlace(hrefOf(path, query)), false);
}

/** Changes parameters of this place; by default without a step for Back. */
export function change(changes: Changes, replace = true) {
  write({ ...current, query: withChanges(current.query, changes) }, replace);
}
