// Upload a table, score it with a model, take the scores home.

import { byName, h, json, Refusal, scrolled, select, short, showError, whole } from "./dom.js";
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
      if (chosen.size > limits.upload_bytes) throw new Refusal(`${chosen.name} is too large: ${most}`);
      const options = { method: "POST", body: chosen };
      const query = { model, name: chosen.name };
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
    button,
  );
}

/** What came out, and where to get it. */
function outcome(scored, name) {
  const flagged =
    scored.flagged === null
      ? "This model has no threshold."
      : `${whole(scored.flagged)} of them flagged: above ${short(scored.threshold)}.`;
  const query = new URLSearchParams({ id: scored.id });
  const heads = ["row", "score", ...scored.columns];
  const rows = scored.strongest.map((row) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, whole(row.row)),
      h("td", { class: "number" }, short(row.score)),
      ...row.values.map((value) => h("td", null, value)),
    ),
  );
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
    scrolled(
      "Strongest rows",
      h(
        "table",
        null,
        h("caption", null, `The ${scored.strongest.length} highest scores`),
        h("thead", null, h("tr", null, ...heads.map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", null, ...rows),
      ),
    ),
  ];
}
