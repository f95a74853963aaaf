// Upload a table, score it with a model, take the scores home.

import { byName, h, json, Refusal, scrolled, select, short, showError, whole } from "./dom.js";
import { divider } from "./row.js";
import { isAbove } from "./metrics.js";
import { change } from "./state.js";

/** Build the page; returns what shows a state. */
export function scorePage(main) {
  const [chooser, expected, form, result] = [h("div"), h("div"), h("div"), h("section")];
  result.setAttribute("aria-live", "polite");
  main.append(
    h(
      "section",
      null,
      h("h2", null, "Score a table"),
      h(
        "p",
        { class: "note" },
        "A CSV file (plain or gzipped) or a Parquet file with the model's columns by name, in raw " +
          "units. It stays on this machine.",
      ),
      chooser,
      expected,
      form,
    ),
    result,
  );
  let limits = null;
  let shown = null;

  return async function update(state) {
    try {
      limits ??= await json("/api/models");
      if (!limits.names.length) {
        chooser.replaceChildren(...empty(limits.root));
        return;
      }
      const model = limits.names.includes(state.model) ? state.model : limits.names[0];
      if (model === shown) return;
      shown = model;
      change({ model }, { replace: true, quiet: true });
      chooser.replaceChildren(choice(limits.names, model));
      result.replaceChildren();
      form.replaceChildren();
      expected.replaceChildren(h("p", { role: "status" }, "looking up the model's columns …"));
      const columns = await json("/api/expected", { model });
      if (model !== shown) return;
      expected.replaceChildren(...description(columns, model));
      form.replaceChildren(uploadForm(model, limits, result));
    } catch (error) {
      showError(expected, error);
    }
  };
}

const empty = (root) => [
  `There are no models in the folder ${root} yet. `,
  h("code", null, "make demo"),
  " trains some in about a minute. Then load this page again.",
];

/** A select of all models, grouped by where they were trained. */
function choice(names, model) {
  const options = names.toSorted(byName).map((name) => [name, name.replaceAll("/", " / ")]);
  return select("Model", options, model, (value) => change({ model: value }), { name: "model" });
}

/** Columns that a table must have, and the threshold. */
function description(columns, model) {
  const query = new URLSearchParams({ model });
  const threshold =
    columns.threshold === null
      ? "no threshold: there were too few normal validation rows"
      : `flagged above ${short(columns.threshold)}, where ${100 * columns.rate} % of normal ` +
        "validation rows are";
  return [
    h(
      "details",
      null,
      h("summary", null, `${whole(columns.names.length)} columns; ${threshold}`),
      h("p", { class: "columns" }, columns.names.join(", ")),
    ),
    h(
      "p",
      null,
      h("a", { href: `/api/example?${query}`, download: "example.csv" }, "Example"),
      ": a table with these columns, the lowest and the highest training values.",
    ),
  ];
}

/** A file and a button. */
function uploadForm(model, limits, result) {
  const accept = ".csv,.gz,.parquet";
  const file = h("input", { type: "file", name: "file", accept, required: true });
  const button = h("button", { type: "submit" }, "Score it");
  const rate = h("input", { type: "number", name: "rate", min: 0.0001, max: 99.9999, step: "any" });
  const alerts = h("input", { type: "number", name: "alerts", min: 1, step: 1 });
  const size = whole(limits.upload_bytes / 2 ** 20);
  const most = `at most ${whole(limits.upload_rows)} rows and ${size} MiB`;
  const submit = async (event) => {
    event.preventDefault();
    const chosen = file.files[0];
    button.disabled = true;
    result.replaceChildren(
      h("p", { role: "status" }, "loading the model: the first time takes some ten seconds …"),
    );
    try {
      if (chosen.size > limits.upload_bytes)
        throw new Refusal(`${chosen.name} is too large: ${most}`);
      const options = { method: "POST", body: chosen };
      const query = { model, name: chosen.name };
      if (rate.value) query.rate = rate.valueAsNumber / 100;
      if (alerts.value) query.alerts = alerts.value;
      result.replaceChildren(...outcome(await json("/api/score", query, options), chosen.name));
    } catch (error) {
      showError(result, error);
    } finally {
      button.disabled = false;
    }
  };
  return h(
    "form",
    { class: "chooser", onsubmit: submit },
    h("label", { class: "field" }, h("span", null, `Table, ${most}`), file),
    h("label", { class: "field" }, h("span", null, "Flag by a false-positive rate, %,"), rate),
    h("label", { class: "field" }, h("span", null, "or a number of alerts"), alerts),
    button,
  );
}

const reason = ({ name, contribution }) => `${name} (+${short(contribution)})`;

/** What came out, and where to get it. */
function outcome(scored, name) {
  const flagged =
    scored.flagged === null
      ? `No threshold: ${scored.words}. Give a higher rate or a number of alerts.`
      : `${whole(scored.flagged)} of them flagged: above ${short(scored.threshold)} ` +
        `(${scored.words}).`;
  const query = new URLSearchParams({ id: scored.id });
  const { threshold } = scored;
  const lines = scored.strongest.some((row) => row.line !== null);
  const explained = scored.strongest.some((row) => row.reasons.length);
  const heads = [lines ? "line" : "row", "score", "verdict", ...(explained ? ["reasons"] : [])];
  const rows = scored.strongest.map((row) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, whole(lines ? row.line : row.row)),
      h("td", { class: "number" }, short(row.score)),
      h("td", null, threshold !== null && isAbove(row.score, threshold) ? "flagged" : ""),
      ...(explained ? [h("td", null, row.reasons.map(reason).join("; "))] : []),
      ...row.values.map((value) => h("td", null, value)),
    ),
  );
  const width = heads.length + scored.columns.length;
  const cut = scored.strongest.findIndex(
    (row) => threshold !== null && !isAbove(row.score, threshold),
  );
  if (cut !== -1) rows.splice(cut, 0, divider(threshold, width));
  const below = scored.flagged - rows.length;
  const group = (words, span) => h("th", { scope: "colgroup", colspan: span }, words);
  return [
    h("h2", null, name),
    h("p", { "data-testid": "scored" }, `${whole(scored.rows)} rows scored. ${flagged}`),
    h(
      "p",
      null,
      h(
        "a",
        { href: `/api/scored?${query}`, download: "scores.csv", "data-testid": "download" },
        "Download the scores as CSV",
      ),
    ),
    scored.ignored.length
      ? h(
          "p",
          { class: "note" },
          `Columns that the model does not know: ${scored.ignored.join(", ")}.`,
        )
      : "",
    scrolled(
      "Strongest rows",
      h(
        "table",
        null,
        h("caption", null, `The ${scored.strongest.length} highest scores`),
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            group("of the model", heads.length),
            group("of the table", scored.columns.length),
          ),
          h(
            "tr",
            null,
            ...[...heads, ...scored.columns].map((head) => h("th", { scope: "col" }, head)),
          ),
        ),
        h("tbody", null, ...rows),
      ),
    ),
    cut === -1 && below > 0
      ? h("p", { class: "note" }, `${whole(below)} more rows are flagged.`)
      : "",
  ];
}
