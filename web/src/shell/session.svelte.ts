// The one connection to the server, and the access token a visitor gave in this tab.

import { createApi, type Access } from '../api/client';

const kept = 'safesail.token';

const state = $state<{ asking: boolean; refused: boolean }>({ asking: false, refused: false });
let waiting: { promise: Promise<string | null>; answer: (token: string | null) => void } | null =
  null;

const access: Access = {
  token: () => sessionStorage.getItem(kept),
  renew(refused) {
    // A request from before the visitor gave the token that is kept now: its answer came late.
    const now = sessionStorage.getItem(kept);
    if (now !== null && now !== refused) return Promise.resolve(now);
    if (!waiting) {
      state.refused = sessionStorage.getItem(kept) !== null;
      sessionStorage.removeItem(kept);
      state.asking = true;
      let answer: (token: string | null) => void = () => undefined;
      const promise = new Promise<string | null>((resolve) => (answer = resolve));
      waiting = { promise, answer };
    }
    return waiting.promise;
  },
};

export const tokenPrompt = {
  get open() {
    return state.asking;
  },
  get refused() {
    return state.refused;
  },
  answer(token: string | null) {
    if (token) sessionStorage.setItem(kept, token);
    state.asking = false;
    waiting?.answer(token);
    waiting = null;
  },
};

export const api = createApi(access);
