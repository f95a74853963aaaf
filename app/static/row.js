// One row: its values beside normal ones, and what each of them adds to its score.

import { Scale } from "./charts.js";
import { h, json, s, scrolled, select, share, short, showError, whole } from "./dom.js";
import { isAbove } from "./metrics.js";
import { change } from "./state.js";

const FIRST = 12; // features of the short list
const RARE = 0.05;

const grey = (v) => [255 * v, 255 * v, 255 * v, 255];

/** An image as a canvas; values from 0 to 1, one after the other. */
export function drawImage(values, [height, width], zoom, colour = grey) {
  const canvas = h("canvas", { width, height, class: `zoom-${zoom}`, role: "img" });
  canvas.setAttribute("aria-label", `image of ${width} by ${height} pixels`);
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (const [i, value] of values.entries()) pixels.data.set(colour(value), 4 * i);
  context.putImageData(pixels, 0, 0);
  return canvas;
}

export const fileName = (path) => path.split(/[\\/]/).pop();

/** A value; where the file had none, it says so. */
export const valueCell = (value, column, filled) =>
  h(
    "td",
    {
      class: [column.text ? "" : "number", filled ? "filled" : ""].join(" ").trim() || null,
      title: filled ? "missing in the file: filled with a training value" : null,
    },
    short(value),
    filled ? h("small", null, " filled") : null,
  );

/** A line between flagged rows and the others. */
export const divider = (threshold, width) =>
  h(
    "tr",
    { class: "divider", "data-testid": "divider" },
    h(
      "td",
      { colspan: width },
      `▲ flagged · threshold ${short(Number(threshold))} · not flagged ▼`,
    ),
  );

/** Returns what shows a row of a place, or nothing if `row` is none. */
export function detailPanel(root) {
  let key = null;
  return async function update(place, row, threshold, about) {
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
      if (wanted === key) root.replaceChildren(...detail(found, place, threshold, about));
    } catch (error) {
      key = null;
      showError(root, error);
    }
  };
}

function detail(found, place, threshold, about) {
  const flagged = isAbove(found.score, threshold) ? "flagged" : "not flagged";
  const close = () => change({ row: null });
  const result = h("div", { "data-testid": "explanation" });
  const table = h("div");
  const usable = !found.image && found.values.length;
  const list = usable ? valueTable(found, place.view, table) : () => {};
  const explain = h(
    "button",
    { type: "button", onclick: () => ask(explain, result, found, place, list) },
    "Explain this score",
  );
  return [
    h(
      "div",
      { class: "heading" },
      h("h3", { "data-testid": "row-title" }, `Row ${whole(found.row)}, class ${found.class}`),
      h("button", { type: "button", onclick: close }, "Close"),
    ),
    h(
      "p",
      null,
      `Score ${short(found.score)} of ${place.run}: ${flagged} at ${short(threshold)}. `,
    ),
    found.origin ? h("p", { "data-testid": "origin" }, where(found)) : "",
    ...dropped(found.dropped),
    found.note ? h("p", { class: "problem" }, found.note) : "",
    found.image ? drawImage(found.values, found.image, 8) : "",
    h("p", { "data-testid": "explain" }, about.unexplained || explain),
    result,
    table,
  ];
}

/** File, line and identifiers of a row. */
function where({ origin, ids }) {
  const line = origin.line === null ? `row ${whole(origin.row)}` : `line ${whole(origin.line)}`;
  const kept = ids.map((name, i) => `${name} ${origin.ids[i]}`);
  return [`${fileName(origin.file)}, ${line}`, ...kept].join("; ");
}

/** What the file has in columns that are no inputs. */
function dropped(cells) {
  const words = Object.entries(cells).map(([name, cell]) => `${name} ${cell || "(empty)"}`);
  if (!words.length) return [];
  return [h("p", { class: "note", "data-testid": "dropped" }, `Not among the inputs: ${words.join("; ")}`)];
}

const ORDERS = {
  strangeness: (a, b) =>
    a.usual.rarity - b.usual.rarity || b.usual.beyond - a.usual.beyond || a.i - b.i,
  contribution: (a, b) => Math.abs(b.part ?? 0) - Math.abs(a.part ?? 0) || a.i - b.i,
  file: (a, b) => a.i - b.i,
};

/** Features with what is usual, the strange ones first; returns what adds contributions to it. */
function valueTable(found, view, place) {
  const filled = new Set(found.origin?.filled);
  const entries = found.columns.map((column, i) => {
    return { i, column, value: found.values[i], usual: found.normal[i] };
  });
  let [order, all, most] = ["strangeness", false, null];
  const rows = view === "all" ? "rows" : "normal rows";

  const draw = () => {
    const orders = Object.keys(ORDERS).filter((name) => name !== "contribution" || most !== null);
    const sorted = entries.toSorted(ORDERS[order]);
    const listed = all ? sorted : sorted.slice(0, FIRST);
    const choose = (value) => {
      order = value;
      draw();
    };
    const parts = most === null ? [] : ["contribution", ""];
    const heads = ["feature", "value", "rarity", ...parts, `usual in ${rows}`, "median"];
    const toggle = h(
      "button",
      {
        type: "button",
        "data-testid": "all-features",
        onclick: () => {
          all = !all;
          draw();
        },
      },
      all ? `The first ${FIRST} only` : `All ${whole(entries.length)} features`,
    );
    place.replaceChildren(
      h(
        "div",
        { class: "offers" },
        select("Features by", orders, order, choose, { name: "features" }),
        entries.length > FIRST ? toggle : "",
        h("span", null, `Rarity: ${rows} with this text, or with a number as far out.`),
      ),
      scrolled(
        "Values of the row",
        h(
          "table",
          { class: "values", "data-testid": "features" },
          h("thead", null, h("tr", null, ...heads.map((head) => h("th", { scope: "col" }, head)))),
          h("tbody", null, ...listed.map((entry) => valueRow(entry, filled, most))),
        ),
      ),
    );
  };
  draw();
  return (contributions) => {
    for (const [i, part] of contributions.entries()) entries[i].part = part.contribution;
    most = Math.max(1e-12, ...entries.map((entry) => Math.abs(entry.part)));
    order = "contribution";
    draw();
  };
}

/** A feature beside what is usual among normal rows, and its contribution if that is known. */
function valueRow({ column, value, usual, part }, filled, most) {
  const isText = column.text;
  const rare = usual.rarity < RARE && (isText || usual.beyond > 0);
  const beyond = rare && !isText ? (value > usual.high ? "▲ " : "▼ ") : "";
  const often = isText
    ? `${usual.common} (${percent(usual.frequency)})`
    : `${short(usual.low)} … ${short(usual.high)}`;
  return h(
    "tr",
    { class: rare ? "unusual" : null },
    h("th", { scope: "row" }, column.name),
    valueCell(value, column, filled.has(column.name)),
    h("td", { class: "number" }, beyond + percent(usual.rarity)),
    ...(most === null
      ? []
      : [h("td", { class: "number" }, short(part)), h("td", null, bar(part, most))]),
    h("td", { class: isText ? null : "number" }, often),
    h("td", { class: "number" }, isText ? "" : short(usual.median)),
  );
}

const percent = (fraction) => {
  if (fraction === 0) return "0 %";
  return fraction < 5e-4 ? "< .1 %" : `${share(100 * fraction, fraction < 0.1 ? 1 : 0)} %`;
};

/** Ask for an explanation; the first one starts TensorFlow. */
async function ask(button, result, found, place, list) {
  button.disabled = true;
  result.replaceChildren(
    h("p", { role: "status" }, "loading the model: the first time takes some ten seconds …"),
  );
  try {
    const explained = await json("/api/explanation", { ...place, row: found.row });
    if (!explained.image) list(explained.contributions);
    result.replaceChildren(...explanation(explained));
  } catch (error) {
    showError(result, error);
  } finally {
    button.disabled = false;
  }
}

/** Words, the heat map of an image, and the parts of the detector that raised the alarm. */
function explanation(explained) {
  const parts = [];
  if (explained.image) {
    const most = Math.max(0, ...explained.contributions.map((c) => Math.abs(c.contribution)));
    const heat = explained.contributions.map((c) => c.contribution / (most || 1));
    const words = "orange: raises the score; blue: lowers it";
    parts.push(
      h("figure", null, drawImage(heat, explained.image, 8, warmth), h("figcaption", null, words)),
    );
  }
  if (explained.layers.length) {
    const of = explained.parts === "layers" ? "Layers of the target" : `Parts: ${explained.parts}`;
    parts.push(bars(of, explained.layers));
  }
  return [h("p", null, explained.words), h("div", { class: "side-by-side" }, ...parts)];
}

/** The page's background at 0, orange at 1, blue at -1. */
const warmth = (v) => [...(v > 0 ? [255, 165, 0] : [0, 115, 255]), 255 * Math.abs(v)];

/** A bar to the right for what raises a score, to the left for what lowers it. */
function bar(value, most) {
  const x = new Scale(-most, most, 2, 118);
  const [from, to] = [x.at(Math.min(0, value)), x.at(Math.max(0, value))];
  const word = value < 0 ? "lowers" : "raises";
  return s(
    "svg",
    { width: 120, height: 12, class: "bar", "aria-hidden": "true" },
    s("rect", { class: word, x: from, y: 1, width: to - from, height: 10 }),
    s("path", { class: "base", d: `M${x.at(0)} 0V12` }),
  );
}

/** A table with a bar for each contribution. */
function bars(title, entries) {
  const most = Math.max(1e-12, ...entries.map((entry) => Math.abs(entry.contribution)));
  const rows = entries.map((entry) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, entry.name),
      h("td", null, bar(entry.contribution, most)),
      h("td", { class: "number" }, short(entry.contribution)),
    ),
  );
  return scrolled(
    title,
    h("table", { class: "values" }, h("caption", null, title), h("tbody", null, ...rows)),
  );
}
