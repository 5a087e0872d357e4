// What the place in sight is about, for the title of the tab: a page says it while it is there.

const state = $state({ about: '' });

export const title = {
  get about() {
    return state.about;
  },
};

/** Call it in an effect; what it gives ends it. */
export function showTitle(about: string): () => void {
  state.about = about.length > 60 ? `${about.slice(0, 59)}…` : about;
  return () => {
    state.about = '';
  };
}
