// A place in the page, written in the address after '#', so prompts never reach a server's log:
// #/feature/12?language=zh

export interface Place {
  page: string;
  /** What follows the page's name, decoded. */
  rest: string[];
  query: URLSearchParams;
}

export type Changes = Record<string, string | number | boolean | null | undefined>;

const decode = (part: string) => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

export function parsePlace(hash: string): Place {
  const [path = '', ...query] = hash.replace(/^#?\/?/, '').split('?');
  const [page = '', ...rest] = path.split('/').filter(Boolean).map(decode);
  return { page: page || 'inspect', rest, query: new URLSearchParams(query.join('?')) };
}

/** Leaves out what is empty, false or undefined, so that a default state has a short address. */
export function withChanges(query: URLSearchParams, changes: Changes): URLSearchParams {
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === null || value === '' || value === false) next.delete(name);
    else next.set(name, String(value));
  }
  return next;
}

export function hrefOf(path: string | (string | number)[], query: Changes = {}): string {
  const parts = Array.isArray(path) ? path : [path];
  const search = withChanges(new URLSearchParams(), query).toString();
  return `#/${parts.map((part) => encodeURIComponent(String(part))).join('/')}${search && `?${search}`}`;
}
