// The page's state is its address: a link shows the same again.

const listeners = [];

/** Everything the address says, as strings. */
export const current = () => Object.fromEntries(new URLSearchParams(location.search));

/**
 * Change the address; null removes a word. Listeners are told unless `quiet`.
 * `replace` leaves no step in the history.
 */
export function change(words, { replace = false, quiet = false } = {}) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(words)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const address = query.size ? `?${query}` : location.pathname;
  if (address !== (location.search || location.pathname)) {
    history[replace ? "replaceState" : "pushState"](null, "", address);
  }
  if (!quiet) tell();
}

export const listen = (listener) => listeners.push(listener);

export function tell() {
  const state = current();
  for (const listener of listeners) listener(state);
}

addEventListener("popstate", tell);

// Marks of rows stay in this browser, under the place whose rows they are.
const cabinet = ({ data_set, protocol, seed, experiment, part }) =>
  `marks ${JSON.stringify([data_set, protocol, seed, experiment, part])}`;

/** What rows of a place were marked as, by number: "confirmed" or "normal". */
export function marksOf(place) {
  try {
    return JSON.parse(localStorage.getItem(cabinet(place))) ?? {};
  } catch {
    return {};
  }
}

/** Mark a row, or forget its mark. */
export function mark(place, row, word) {
  const { [row]: _, ...others } = marksOf(place);
  const marks = word === null ? others : { ...others, [row]: word };
  if (Object.keys(marks).length) localStorage.setItem(cabinet(place), JSON.stringify(marks));
  else localStorage.removeItem(cabinet(place));
}
