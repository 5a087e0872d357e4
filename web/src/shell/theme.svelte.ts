// Light or dark: the visitor's choice, else the system's. `data-theme` on the root is always one of
// the two, so that charts on a canvas can read plain colours from the style sheet.

export type Theme = 'system' | 'light' | 'dark';

const kept = 'safesail.theme';
const darkSystem = matchMedia('(prefers-color-scheme: dark)');

const stored = localStorage.getItem(kept);
const state = $state({
  choice: (stored === 'light' || stored === 'dark' ? stored : 'system') as Theme,
  dark: false,
});

function apply() {
  state.dark = state.choice === 'system' ? darkSystem.matches : state.choice === 'dark';
  document.documentElement.dataset.theme = state.dark ? 'dark' : 'light';
}

darkSystem.addEventListener('change', apply);
apply();

export const theme = {
  get choice() {
    return state.choice;
  },
  /** Read it in an effect that draws on a canvas: it changes whenever the colours do. */
  get dark() {
    return state.dark;
  },
  set(choice: Theme) {
    state.choice = choice;
    localStorage.setItem(kept, choice);
    apply();
  },
};

/** The value of a colour of the style sheet (`--domain-politics`) in the current theme. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
