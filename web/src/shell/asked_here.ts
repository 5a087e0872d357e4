// What the visitor has asked the model in this tab. Any page of the web may open an address with a
// question in it: the model works for those that were asked here, on a reload or by Back, and waits
// for a press of the button with all others.

const kept = 'safesail.asked';
const most = 200;

function read(): string[] {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(kept) ?? '[]');
    return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

export const askedHere = {
  has: (question: string) => read().includes(question),
  add(question: string) {
    const all = [...read().filter((one) => one !== question), question].slice(-most);
    try {
      sessionStorage.setItem(kept, JSON.stringify(all));
    } catch {
      // Long questions fill the storage: the last one is enough to go on.
      sessionStorage.setItem(kept, JSON.stringify([question]));
    }
  },
};
