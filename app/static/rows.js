// The rows of a view, a page at a time, and one row with its explanation.

import { detailPanel, drawImage } from "./row.js";
import { h, json, refill, scrolled, short, showError, whole } from "./dom.js";
import { isAbove } from "./metrics.js";
import { change, current } from "./state.js";

const LIMIT = 25;
const FILTERS = ["all", "flagged", "false positives", "false negatives"];
const VERDICTS = { "1true": "TP", "1false": "FN", "0true": "FP", "0false": "TN" };

/** Returns what shows a state; its threshold must be set. */
export function rowsPanel(root) {
  const bar = h("div", { class: "heading" });
  const table = h("div");
  const detail = h("section", { "aria-live": "polite" });
  root.append(bar, h("div", { class: "beside" }, table, detail));
  const showDetail = detailPanel(detail);
  let asking = null;

  return async function update(state) {
    // what was changed without telling, such as the threshold, is in the address
    const { filter = "all", sort = "score", order = "down", page = "1" } = current();
    const { data_set, protocol, seed, experiment, part, view, run, threshold } = state;
    const place = { data_set, protocol, seed, experiment, part, view, run };
    refill(bar, h("h2", null, "Rows"), filters(filter));
    asking?.abort();
    asking = new AbortController();
    root.setAttribute("aria-busy", "true");
    const first = Math.max(0, (Number.parseInt(page, 10) || 1) - 1) * LIMIT;
    const descending = order !== "up";
    const query = { ...place, threshold, filter, sort, descending, offset: first, limit: LIMIT };
    if (!table.children.length) table.replaceChildren(h("p", null, "loading the rows …"));
    try {
      const found = await json("/api/rows", query, { signal: asking.signal });
      const kept = table.querySelector(".scroll")?.scrollLeft ?? 0;
      refill(table, ...shown(found, { filter, sort, descending, first, threshold }));
      const scroll = table.querySelector(".scroll");
      if (scroll) scroll.scrollLeft = kept;
    } catch (error) {
      showError(table, error);
      if (error.name === "AbortError") return;
    }
    root.removeAttribute("aria-busy");
    await showDetail(place, current().row, Number(threshold));
  };
}

/** Which rows to show, as a group of radio buttons. */
function filters(chosen) {
  const buttons = FILTERS.map((name) =>
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

/** The table and its pages. */
function shown(found, { filter, sort, descending, first, threshold }) {
  const note = found.note && h("p", { class: "problem", "data-testid": "no-rows" }, found.note);
  if (!found.total) return [note, h("p", null, `No rows: ${filter} at this threshold.`)];
  const columns = found.image ? [] : found.columns;
  const names = ["row", "score", "class", ...columns.map((column) => column.name)];
  const head = (name) => {
    const mine = name === sort;
    const order = mine && descending ? "up" : "down";
    const arrow = mine ? (descending ? " ↓" : " ↑") : "";
    const sorted = mine ? (descending ? "descending" : "ascending") : null;
    const choose = () => change({ sort: name, order: order === "down" ? null : order, page: null });
    const button = h("button", { type: "button", class: "link", onclick: choose }, name + arrow);
    return h("th", { scope: "col", "aria-sort": sorted }, button);
  };
  const line = (row) => {
    const verdict = VERDICTS[`${row.label}${isAbove(row.score, threshold)}`];
    const open = () => change({ row: row.row });
    const values = found.image
      ? [h("td", null, drawImage(row.values, found.image, 2))]
      : row.values.map((v, i) => h("td", { class: columns[i].text ? null : "number" }, short(v)));
    return h(
      "tr",
      { "data-row": row.row, "aria-current": current().row === String(row.row) ? "true" : null },
      h(
        "th",
        { scope: "row" },
        h("button", { type: "button", class: "link", onclick: open }, whole(row.row)),
      ),
      h("td", { class: "number" }, short(row.score)),
      h("td", null, row.class),
      h("td", null, h("span", { class: `verdict ${verdict}` }, verdict)),
      ...values,
    );
  };
  const heads = names.map(head);
  heads.splice(3, 0, h("th", { scope: "col" }, "verdict"));
  if (found.image) heads.push(h("th", { scope: "col" }, "image"));
  return [
    note,
    scrolled(
      "Rows",
      h(
        "table",
        { class: "rows" },
        h("caption", { "data-testid": "rows-total" }, `${whole(found.total)} rows: ${filter}`),
        h("thead", null, h("tr", null, ...heads)),
        h("tbody", null, ...found.rows.map(line)),
      ),
    ),
    pages(first, found.total),
  ].filter(Boolean);
}

/** Buttons to other pages. */
function pages(first, total) {
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
  );
}
