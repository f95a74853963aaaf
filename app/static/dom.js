// Elements, numbers as people read them, and requests that say what went wrong.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element; attributes that start with "on" are listeners, null ones are left out. */
export const h = (tag, attributes, ...children) =>
  filled(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);

/** A <select> of values or [value, words] pairs. */
export function select(label, options, value, onchange, attributes = {}) {
  const element = h("select", { ...attributes, onchange: () => onchange(element.value) });
  for (const option of options) {
    const [key, words] = Array.isArray(option) ? option : [option, option];
    element.append(h("option", { value: key, selected: String(key) === String(value) }, words));
  }
  return h("label", { class: "field" }, h("span", null, label), element);
}

/** A table in a box that scrolls by itself, so that the page never does. */
export const scrolled = (label, ...children) =>
  h("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, ...children);

/** What an element is called, to find the one that takes its place. */
const called = (element) =>
  [
    element.tagName,
    element.name,
    element.dataset.testid,
    element.getAttribute("aria-label"),
    element.type === "radio" ? element.value : "",
    element.tagName === "BUTTON" ? element.textContent.replace(/ [↑↓]$/, "") : "",
  ].join("|");

/** Put other children into a place; focus and open details stay with what is called the same. */
export function refill(place, ...children) {
  const active = place.contains(document.activeElement) ? document.activeElement : null;
  const details = () =>
    [...place.querySelectorAll("details")].map((d) => [d, d.firstChild.textContent]);
  const open = new Map(details().map(([element, words]) => [words, element.open]));
  place.replaceChildren(...children);
  for (const [element, words] of details()) element.open = open.get(words) ?? element.open;
  if (!active || active === place) return;
  const [name, tag] = [called(active), active.tagName.toLowerCase()];
  const heir = [...place.querySelectorAll(tag)].find((element) => called(element) === name);
  heir?.focus({ preventScroll: true });
}

/** A share as papers print it: .987 */
export const share = (value, places = 3) =>
  value === null || Number.isNaN(value) ? "–" : value.toFixed(places).replace(/^(-?)0\./, "$1.");

export const spread = (mean, deviation) =>
  mean === null ? "–" : share(mean) + (deviation === null ? "" : `±${share(deviation)}`);

export const whole = (value) => (value === null ? "–" : Math.round(value).toLocaleString("en"));

/** A number of any size in few characters; what stands before the point is kept. */
export function short(value) {
  if (value === null || typeof value !== "number") return value ?? "–";
  const size = Math.abs(value);
  if ((Number.isInteger(value) || size >= 1e3) && size < 1e7) return whole(value);
  return size !== 0 && (size < 1e-3 || size >= 1e7)
    ? value.toExponential(2)
    : String(Number(value.toPrecision(4)));
}

/** A command to copy. */
export const command = (words) =>
  h("pre", { class: "command", tabindex: "0" }, h("code", null, words));

const natural = new Intl.Collator("en", { numeric: true });
export const byName = (a, b) => natural.compare(a, b);

/** What a server refuses, in its own words. */
export class Refusal extends Error {}

/** A response of this dashboard's server. */
export async function request(path, parameters = {}, options = {}) {
  const query = new URLSearchParams(parameters);
  let response;
  try {
    response = await fetch(query.size ? `${path}?${query}` : path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The dashboard does not answer. Is dashboard.py still running?");
  }
  if (response.ok) return response;
  let detail = response.statusText;
  try {
    detail = (await response.json()).detail;
  } catch {
    // no JSON: the status says it
  }
  const words = Array.isArray(detail)
    ? detail.map((d) => `${(d.loc ?? []).slice(1).join(" ")}: ${d.msg}`).join("; ")
    : detail;
  throw new Refusal(words || `The server answered ${response.status}.`);
}

export const json = async (...words) => (await request(...words)).json();

/** Put a message in place of what could not be shown. */
export function showError(place, error) {
  if (error.name === "AbortError") return;
  place.replaceChildren(h("p", { class: "problem", role: "alert" }, error.message));
  if (!(error instanceof Refusal)) throw error;
}
