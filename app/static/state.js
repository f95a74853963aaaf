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
