// The rows of a view, a page at a time, and one row with its explanation.

import { detailPanel, divider, drawImage, fileName, valueCell } from "./row.js";
import { command, h, json, refill, scrolled, short, showError, whole } from "./dom.js";
import { isAbove } from "./metrics.js";
import { change, current, mark, marksOf } from "./state.js";

const LIMIT = 25;
const FILTERS = ["all", "flagged", "false positives", "false negatives"];
const VERDICTS = { "1true": "TP", "1false": "FN", "0true": "FP", "0false": "TN" };
const MARKS = [
  ["confirmed", "✓", "confirm"],
  ["normal", "✗", "mark as false positive"],
];

/** Returns what shows a state; its threshold must be set, `about` is of its run. */
export function rowsPanel(root) {
  const [bar, table, marked] = [h("div", { class: "heading" }), h("div"), h("div")];
  const detail = h("section", { "aria-live": "polite" });
  root.append(bar, h("div", { class: "beside" }, table, detail), marked);
  const showDetail = detailPanel(detail);
  let asking = null;

  return async function update(state, about) {
    // what was changed without telling, such as the threshold, is in the address
    const {
      filter = "all",
      sort = "score",
      feature,
      order = "down",
      page = "1",
      wide,
      why,
    } = current();
    const { data_set, protocol, seed, experiment, part, view, run, threshold } = state;
    const place = { data_set, protocol, seed, experiment, part, view, run };
    asking?.abort();
    asking = new AbortController();
    root.setAttribute("aria-busy", "true");
    const first = Math.max(0, (Number.parseInt(page, 10) || 1) - 1) * LIMIT;
    const descending = order !== "up";
    const query = { ...place, threshold, filter, sort, descending };
    if (feature !== undefined) query.feature = feature;
    refill(bar, h("h2", null, "Rows"), ...tools(query, about, view, why));
    if (!table.children.length) table.replaceChildren(h("p", null, "loading the rows …"));
    try {
      const { signal } = asking;
      const paged = { ...query, offset: first, limit: LIMIT, wide: Boolean(wide) };
      const found = await json("/api/rows", paged, { signal });
      const reasons =
        why && !about.unexplained && !found.image
          ? await reasonsOf(found, place, table, signal)
          : null;
      const kept = table.querySelector(".scroll")?.scrollLeft ?? 0;
      const settings = { place, filter, sort, feature, descending, first, threshold, reasons };
      const draw = () => {
        refill(table, ...shown(found, settings, draw));
        refill(marked, ...marks(found, place, draw));
      };
      draw();
      const scroll = table.querySelector(".scroll");
      if (scroll) scroll.scrollLeft = kept;
    } catch (error) {
      showError(table, error);
      if (error.name === "AbortError") return;
    }
    root.removeAttribute("aria-busy");
    await showDetail(place, current().row, Number(threshold), about);
  };
}

/** Which rows to show, whether with reasons, and where to download them. */
function tools(query, about, view, why) {
  const chosen = view === "all" ? FILTERS.slice(0, 2) : FILTERS;
  const explain = h(
    "button",
    {
      type: "button",
      "aria-pressed": String(Boolean(why)),
      onclick: () => change({ why: why ? null : 1 }),
    },
    "Explain these rows",
  );
  const address = `/api/rows.csv?${new URLSearchParams(query)}`;
  return [
    filters(query.filter, chosen),
    about.unexplained ? null : explain,
    h(
      "a",
      { href: address, download: "rows.csv", "data-testid": "rows-csv" },
      "Download these rows",
    ),
  ].filter(Boolean);
}

/** What raised the scores of the rows found most; the first time, TensorFlow starts. */
async function reasonsOf(found, place, table, signal) {
  table.prepend(h("p", { role: "status" }, "explaining: the first time takes some ten seconds …"));
  const rows = found.rows.map((row) => row.row).join(",");
  return json("/api/reasons", { ...place, rows }, { signal });
}

/** Which rows to show, as a group of radio buttons. */
function filters(chosen, names) {
  const buttons = names.map((name) =>
    h(
      "label",
      null,
      h("input", {
        type: "radio",
        name: "filter",
        value: name,
        checked: name === chosen,
        onchange: () => change({ filter: name === "all" ? null : name, page: null }),
      }),
      name,
    ),
  );
  const legend = h("legend", { class: "for-readers" }, "Show");
  return h("fieldset", { class: "filters" }, legend, ...buttons);
}

/** The table and its pages; `draw` shows it again after a mark. */
function shown(found, settings, draw) {
  const { filter, sort, feature, descending, first, threshold, reasons } = settings;
  const note = found.note && h("p", { class: "problem", "data-testid": "no-rows" }, found.note);
  if (!found.total)
    return [note, h("p", null, `No rows: ${filter} at this threshold.`)].filter(Boolean);
  const columns = found.image ? [] : found.columns;
  const own = found.rows.some((row) => row.origin);
  const files = new Set(found.rows.map((row) => row.origin?.file)).size > 1;
  const head = (words, mine, chosen) => {
    const order = mine && descending ? "up" : null;
    const arrow = mine ? (descending ? " ↓" : " ↑") : "";
    const sorted = mine ? (descending ? "descending" : "ascending") : null;
    const choose = () => change({ sort: null, feature: null, ...chosen, order, page: null });
    const button = h("button", { type: "button", class: "link", onclick: choose }, words + arrow);
    return h("th", { scope: "col", "aria-sort": sorted }, button);
  };
  const plain = (words) => h("th", { scope: "col" }, words);
  const ofRun = (name) =>
    head(name, feature === undefined && sort === name, { sort: name === "score" ? null : name });
  const heads = [
    ofRun("row"),
    ...(files ? [plain("file")] : []),
    ...(own ? [plain("line"), ...found.ids.map(plain), plain("mark")] : []),
    ofRun("score"),
    ofRun("class"),
    plain("verdict"),
    ...(reasons ? [plain("reasons")] : []),
  ];
  const ofData = columns.map((c) => head(c.name, c.name === feature, { feature: c.name }));
  if (found.image) ofData.push(plain("image"));
  const lines = found.rows.map((row) =>
    line(row, { ...settings, columns, own, files }, found, draw),
  );
  const width = heads.length + ofData.length;
  const ranked = feature === undefined && sort === "score" && descending;
  const cut = found.rows.findIndex((row) => !isAbove(row.score, threshold));
  if (ranked && cut !== -1 && (cut > 0 || first === 0))
    lines.splice(cut, 0, divider(threshold, width));
  const group = (words, span) => h("th", { scope: "colgroup", colspan: span }, words);
  const groups = [group("of this run", heads.length)];
  if (ofData.length) groups.push(group("of the data", ofData.length));
  const widen = h(
    "button",
    { type: "button", onclick: () => change({ wide: 1 }) },
    `${whole(found.more)} more columns`,
  );
  return [
    note,
    scrolled(
      "Rows",
      h(
        "table",
        { class: "rows" },
        h("caption", { "data-testid": "rows-total" }, `${whole(found.total)} rows: ${filter}`),
        h("thead", null, h("tr", null, ...groups), h("tr", null, ...heads, ...ofData)),
        h("tbody", null, ...lines),
      ),
    ),
    pages(first, found.total, found.more ? widen : null),
  ].filter(Boolean);
}

/** A row of the table. */
function line(row, { place, threshold, columns, own, files, reasons }, found, draw) {
  const flagged = isAbove(row.score, threshold);
  const verdict =
    row.label === null ? (flagged ? "flagged" : "") : VERDICTS[`${row.label}${flagged}`];
  const open = () => change({ row: row.row });
  const filled = new Set(row.origin?.filled);
  const values = found.image
    ? [h("td", null, drawImage(row.values, found.image, 2))]
    : row.values.map((v, i) => valueCell(v, columns[i], filled.has(columns[i].name)));
  const why = reasons?.[row.row]?.map(
    (c) => `${c.name} ${short(c.value)} (+${short(c.contribution)})`,
  );
  return h(
    "tr",
    { "data-row": row.row, "aria-current": current().row === String(row.row) ? "true" : null },
    h(
      "th",
      { scope: "row" },
      h("button", { type: "button", class: "link", onclick: open }, whole(row.row)),
    ),
    ...(files ? [h("td", { title: row.origin.file }, fileName(row.origin.file))] : []),
    ...(own
      ? [
          h("td", { class: "number" }, row.origin.line ?? `row ${row.origin.row}`),
          ...row.origin.ids.map((id) => h("td", null, id)),
          h("td", null, markButtons(row, place, draw)),
        ]
      : []),
    h("td", { class: "number" }, short(row.score)),
    h("td", null, row.class),
    h("td", null, h("span", { class: `verdict ${verdict}` }, verdict)),
    ...(reasons ? [h("td", null, why?.join("; ") ?? "")] : []),
    ...values,
  );
}

/** Two buttons: an anomaly indeed, or a false positive. */
function markButtons(row, place, draw) {
  const given = marksOf(place)[row.row];
  const buttons = MARKS.map(([word, sign, words]) => {
    const choose = () => {
      mark(place, row.row, given === word ? null : word);
      draw();
    };
    const pressed = String(given === word);
    const label = `${words}: row ${row.row}`;
    const settings = {
      type: "button",
      class: `mark ${word}`,
      "aria-pressed": pressed,
      "aria-label": label,
    };
    return h("button", { ...settings, title: words, onclick: choose }, sign);
  });
  return h("span", { class: "marks" }, ...buttons);
}

/** How many rows are marked, and how to train with that. */
function marks(found, place, draw) {
  if (!found.rows.some((row) => row.origin)) return [];
  const given = Object.entries(marksOf(place));
  const of = (word) => given.filter(([, found]) => found === word).map(([row]) => row);
  const [confirmed, normal] = [of("confirmed"), of("normal")];
  if (!given.length) {
    return [
      h(
        "p",
        { class: "note" },
        "✓ confirms an anomaly, ✗ marks a false positive: labels for the next training.",
      ),
    ];
  }
  const { data_set, protocol, seed, experiment, part } = place;
  const query = { data_set, protocol, seed, experiment, part };
  if (confirmed.length) query.confirmed = confirmed.join(",");
  if (normal.length) query.normal = normal.join(",");
  const next = h("div");
  json("/api/retraining", query).then(
    (found) =>
      next.replaceChildren(
        "Put it beside the other tables, then train again:",
        command(found.command),
      ),
    (error) => showError(next, error),
  );
  const forget = () => {
    for (const [row] of given) mark(place, row, null);
    draw();
  };
  const address = `/api/labelled.csv?${new URLSearchParams(query)}`;
  const words = `${whole(confirmed.length)} confirmed, ${whole(normal.length)} false positives. `;
  return [
    h(
      "p",
      { "data-testid": "marked" },
      words,
      h(
        "a",
        { href: address, download: "", "data-testid": "labelled-csv" },
        "Download the table with these labels",
      ),
      " ",
      h("button", { type: "button", onclick: forget }, "Forget the marks"),
    ),
    next,
  ];
}

/** Buttons to other pages. */
function pages(first, total, widen) {
  const page = first / LIMIT + 1;
  const last = Math.max(1, Math.ceil(total / LIMIT));
  const button = (words, to) =>
    h(
      "button",
      {
        type: "button",
        disabled: to < 1 || to > last || to === page,
        onclick: () => change({ page: to === 1 ? null : to }),
      },
      words,
    );
  return h(
    "nav",
    { class: "pages", "aria-label": "Pages of rows" },
    button("« first", 1),
    button("‹ previous", page - 1),
    h("span", null, `page ${whole(page)} of ${whole(last)}`),
    button("next ›", page + 1),
    button("last »", last),
    ...(widen ? [widen] : []),
  );
}
