// One row: its values beside normal ones, and what each of them adds to its score.

import { Scale } from "./charts.js";
import { h, json, s, scrolled, short, showError, whole } from "./dom.js";
import { isAbove } from "./metrics.js";
import { change } from "./state.js";

const STRONGEST = 15;
const FAINT = 1e-6; // beside the strongest contribution

const grey = (v) => [255 * v, 255 * v, 255 * v];

/** An image as a canvas; values from 0 to 1, one after the other. */
export function drawImage(values, [height, width], zoom, colour = grey) {
  const canvas = h("canvas", { width, height, class: `zoom-${zoom}`, role: "img" });
  canvas.setAttribute("aria-label", `image of ${width} by ${height} pixels`);
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (const [i, value] of values.entries()) pixels.data.set([...colour(value), 255], 4 * i);
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** Returns what shows a row of a place, or nothing if `row` is none. */
export function detailPanel(root) {
  let key = null;
  return async function update(place, row, threshold) {
    if (row === undefined || row === null) {
      key = null;
      root.replaceChildren();
      return;
    }
    const wanted = JSON.stringify([place, row]);
    if (wanted === key) return;
    key = wanted;
    try {
      const found = await json("/api/row", { ...place, row });
      if (wanted === key) root.replaceChildren(...detail(found, place, threshold));
    } catch (error) {
      key = null;
      showError(root, error);
    }
  };
}

function detail(found, place, threshold) {
  const flagged = isAbove(found.score, threshold) ? "flagged" : "not flagged";
  const close = () => change({ row: null });
  const result = h("div", { "data-testid": "explanation" });
  const explain = h("button", { type: "button", onclick: () => ask(explain, result, found, place) },
    "Explain this score");
  return [
    h(
      "div",
      { class: "heading" },
      h("h3", { "data-testid": "row-title" }, `Row ${whole(found.row)}, class ${found.class}`),
      h("button", { type: "button", onclick: close }, "Close"),
    ),
    h("p", null, `Score ${short(found.score)} of ${place.run}: ${flagged} at ${short(threshold)}. `),
    found.note ? h("p", { class: "problem" }, found.note) : "",
    found.image ? drawImage(found.values, found.image, 8) : "",
    h("p", null, explain),
    result,
    found.image || !found.values.length ? "" : valueTable(found),
  ];
}

/** Each feature beside what is usual among normal rows. */
function valueTable(found) {
  const rows = found.columns.map((column, i) => {
    const [value, usual] = [found.values[i], found.normal[i]];
    const beyond = usual ? (value > usual[2] ? "▲ above" : value < usual[0] ? "▼ below" : "") : "";
    return h(
      "tr",
      { class: beyond ? "unusual" : null },
      h("th", { scope: "row" }, column.name),
      h("td", { class: "number" }, short(value)),
      h("td", { class: "number" }, usual ? `${short(usual[0])} … ${short(usual[2])}` : ""),
      h("td", { class: "number" }, usual ? short(usual[1]) : ""),
      h("td", null, beyond),
    );
  });
  const heads = ["feature", "value", "5 % … 95 % of normal rows", "their median", ""];
  return scrolled(
    "Values of the row",
    h(
      "table",
      { class: "values" },
      h("thead", null, h("tr", null, ...heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", null, ...rows),
    ),
  );
}

/** Ask for an explanation; the first one starts TensorFlow. */
async function ask(button, result, found, place) {
  button.disabled = true;
  result.replaceChildren(
    h("p", { role: "status" }, "loading the model: the first time takes some ten seconds …"),
  );
  try {
    const explained = await json("/api/explanation", { ...place, row: found.row });
    result.replaceChildren(...explanation(explained));
  } catch (error) {
    showError(result, error);
  } finally {
    button.disabled = false;
  }
}

/** Bars of the strongest features, or a heat map; for A3 the layers that raised the alarm. */
function explanation(explained) {
  const most = Math.max(0, ...explained.contributions.map((c) => Math.abs(c.contribution)));
  const parts = [];
  if (explained.image) {
    const heat = explained.contributions.map((c) => c.contribution / (most || 1));
    const words = "orange: raises the score; blue: lowers it";
    parts.push(
      h("figure", null, drawImage(heat, explained.image, 8, warmth), h("figcaption", null, words)),
    );
  } else {
    const strongest = explained.contributions
      .filter((c) => Math.abs(c.contribution) > most * FAINT)
      .toSorted((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution))
      .slice(0, STRONGEST);
    parts.push(bars("Contribution of each feature, the strongest", strongest));
  }
  if (explained.layers.length) parts.push(bars("Layers of the target", explained.layers));
  return [h("p", null, explained.words), h("div", { class: "side-by-side" }, ...parts)];
}

/** White at 0, orange at 1, blue at -1. */
const warmth = (v) =>
  v > 0 ? [255, 255 - 90 * v, 255 - 255 * v] : [255 + 255 * v, 255 + 140 * v, 255];

/** A table with a bar for each contribution. */
function bars(title, entries) {
  const most = Math.max(1e-12, ...entries.map((entry) => Math.abs(entry.contribution)));
  const x = new Scale(-most, most, 2, 158);
  const bar = (value) => {
    const [from, to] = [x.at(Math.min(0, value)), x.at(Math.max(0, value))];
    const word = value < 0 ? "lowers" : "raises";
    return s(
      "svg",
      { width: 160, height: 12, "aria-hidden": "true" },
      s("rect", { class: word, x: from, y: 1, width: to - from, height: 10 }),
      s("path", { class: "base", d: `M${x.at(0)} 0V12` }),
    );
  };
  const rows = entries.map((entry) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, entry.name),
      entry.value === null ? null : h("td", { class: "number" }, short(entry.value)),
      h("td", null, bar(entry.contribution)),
      h("td", { class: "number" }, short(entry.contribution)),
    ),
  );
  return scrolled(
    title,
    h("table", { class: "values" }, h("caption", null, title), h("tbody", null, ...rows)),
  );
}
