// One run on one view: threshold, confusion matrix, ROC and precision-recall curves.

import { lineChart, unitCurve } from "./charts.js";
import {
  command,
  h,
  json,
  refill,
  request,
  select,
  share,
  short,
  showError,
  whole,
} from "./dom.js";
import { Scores } from "./metrics.js";
import { change } from "./state.js";
import { spreadsWide, thresholdHistogram, thresholdRules } from "./threshold.js";

const RATES = ["precision", "recall", "F1", "FPR", "accuracy"];
const CELLS = [
  ["truePositives", "TP", "anomalies, flagged"],
  ["falseNegatives", "FN", "anomalies, missed"],
  ["falsePositives", "FP", "normal rows, flagged"],
  ["trueNegatives", "TN", "normal rows, let through"],
];
const HIGHEST = [10, 20, 50, 100, 200, 500, 1000];
const READING =
  "No threshold of validation rows is at hand (the model is not among the models). It starts " +
  "where 1 % of the rows shown, of the normal ones if labels tell, are above: good for looking, " +
  "not for reporting.";

/** Returns what shows a state; it gives the threshold shown, or null where there are no scores. */
export function runPanel(root) {
  const heading = h("h2");
  const fields = h("div", { class: "heading" }, heading);
  const body = h("div");
  root.append(fields, body);
  let key = null;
  let loaded = null;

  return async function update(state, runs, onthreshold) {
    if (!state.run) {
      key = null;
      heading.textContent = "Scores";
      body.replaceChildren(h("p", null, "No run has scores for this view."));
      return null;
    }
    const { data_set, protocol, seed, experiment, part, view, run } = state;
    const query = { data_set, protocol, seed, experiment, part, view, run };
    const wanted = JSON.stringify(query);
    try {
      if (wanted !== key) {
        root.setAttribute("aria-busy", "true");
        loaded = await load(query);
        key = wanted;
      }
    } catch (error) {
      key = null;
      showError(body, error);
      return null;
    } finally {
      root.removeAttribute("aria-busy");
    }
    const { scores, offered, about } = loaded;
    const asked = Number(state.threshold ?? Number.NaN);
    const start = offered.find((choice) => choice.name === "FPR 1 %") ?? offered[0];
    const threshold = Number.isFinite(asked)
      ? asked
      : (start?.threshold ?? scores.thresholdFor(0.01));
    const wide = { linear: false, log: true }[state.axis] ?? spreadsWide(scores);
    heading.textContent = view === "all" ? `${run}, rows without labels` : `${run}, ${view}`;
    document.title = `${heading.textContent} – ${data_set} – A3 dashboard`;
    refill(
      fields,
      heading,
      select("Run", runs, run, (value) => change({ run: value, threshold: null, row: null }), {
        name: "run",
      }),
      select("Axis", ["linear", "log"], wide ? "log" : "linear", (axis) => change({ axis }), {
        name: "axis",
        disabled: scores.highest <= 0,
      }),
    );
    const logarithmic = wide && scores.highest > 0;
    const settings = {
      query,
      scores,
      offered,
      about,
      threshold,
      logarithmic,
      labelled: view !== "all",
    };
    figures(body, settings, (value) => onthreshold(value, about));
    return { threshold, about };
  };
}

/** Scores of a view, thresholds that validation rows gave, and what the model says. */
async function load(query) {
  const [response, offered, about] = await Promise.all([
    request("/api/scores", query),
    json("/api/thresholds", query),
    json("/api/about", query),
  ]);
  const [normal, anomalous] = ["x-normal-rows", "x-anomalous-rows"].map((name) =>
    Number(response.headers.get(name)),
  );
  const scores = Scores.read(await response.arrayBuffer(), normal, anomalous);
  return { scores, offered, about };
}

/** Everything that follows the threshold. */
function figures(body, settings, onthreshold) {
  const { query, scores, offered, about, threshold, logarithmic, labelled } = settings;
  const width = Math.max(280, body.clientWidth);
  const live = h("p", { class: "for-readers", role: "status", "data-testid": "live" });
  const flagged = h("p", { "data-testid": "flagged" });
  const quality = labelled ? qualityOf(scores, Math.min(width, 320)) : null;
  let waiting = null;

  const show = (value) => {
    histogram.set(value);
    rules.set(value);
    const i = scores.above(value);
    const [rows, all] = [scores.rows(i), scores.normal + scores.anomalous];
    const percent = share((100 * rows) / all, 2);
    flagged.textContent = `${whole(rows)} of ${whole(all)} rows flagged (${percent} %).`;
    const words = quality?.set(value) ?? "";
    return `threshold ${short(value)}: ${whole(rows)} rows flagged ${words}`;
  };
  const moved = (value) => {
    const words = show(value);
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      change({ threshold: String(value), page: null }, { replace: true, quiet: true });
      live.textContent = words;
      onthreshold(String(value));
    }, 200);
  };
  const histogram = thresholdHistogram({ scores, width, logarithmic, labelled, onmove: moved });
  const rules = thresholdRules({ query, scores, labelled, moved });
  const choices = offered.map((choice) =>
    h(
      "button",
      { type: "button", title: choice.words, onclick: () => moved(choice.threshold) },
      `${choice.name}: ${short(choice.threshold)}`,
    ),
  );
  refill(
    body,
    h("div", { class: "plot" }, histogram.element),
    rules.element,
    h(
      "p",
      { class: "offers" },
      ...(choices.length
        ? [h("span", null, "From validation rows:"), ...choices]
        : [h("span", null, READING)]),
    ),
    flagged,
    scores.exact
      ? ""
      : h(
          "p",
          { class: "note" },
          `Drawn and counted from an even choice of ${whole(scores.scores.length)} of ` +
            `${whole(scores.normal + scores.anomalous)} scores: counts are rounded.`,
        ),
    live,
    quality?.element ?? "",
    ...more(about, Math.min(width, 560), labelled),
  );
  show(threshold);
}

/** Confusion matrix, rates and curves of labelled rows; `set` gives the rates in words. */
function qualityOf(scores, side) {
  const curves = scores.curves();
  const roc = unitCurve({
    width: side,
    title: `ROC curve, area ${share(curves.auc)}`,
    xWords: "false-positive rate",
    yWords: "recall",
    points: curves.roc,
    reference: [
      [0, 0],
      [1, 1],
    ],
  });
  const rows = scores.anomalous + scores.normal;
  const base = scores.anomalous / rows;
  const pr = unitCurve({
    width: side,
    title: `Precision-recall curve, average precision ${share(curves.ap)}`,
    xWords: "recall",
    yWords: "precision",
    points: curves.pr,
    reference: [
      [0, base],
      [1, base],
    ],
  });
  const [matrix, rates] = [h("div"), h("dl", { class: "rates" })];
  const highest = HIGHEST.filter((k) => k <= rows).map((k) =>
    h(
      "tr",
      null,
      h("th", { scope: "row", class: "number" }, whole(k)),
      h(
        "td",
        { class: "number", "data-testid": `precision-${k}` },
        share(scores.precisionAt(k), 4),
      ),
    ),
  );
  const head = (words) => h("th", { scope: "col" }, words);
  const element = h(
    "div",
    { class: "side-by-side" },
    h("div", null, matrix, rates),
    h("figure", null, roc.element, h("figcaption", null, `ROC, AUC ${share(curves.auc, 4)}`)),
    h(
      "figure",
      null,
      pr.element,
      h("figcaption", null, `Precision and recall, AP ${share(curves.ap, 4)}`),
    ),
    h(
      "table",
      null,
      h("caption", null, "The k highest scores"),
      h("thead", null, h("tr", null, head("k"), head("precision"))),
      h("tbody", null, ...highest),
    ),
  );
  const set = (value) => {
    const numbers = scores.at(value);
    matrix.replaceChildren(confusion(numbers));
    rates.replaceChildren(
      ...RATES.map((name) =>
        h(
          "div",
          null,
          h("dt", null, name),
          h("dd", { "data-testid": name }, share(numbers[name], 4)),
        ),
      ),
    );
    roc.mark(numbers.FPR, numbers.recall);
    pr.mark(numbers.recall, numbers.precision);
    return RATES.map((name) => `${name} ${share(numbers[name])}`).join(", ");
  };
  return { element, set };
}

/** What to run next, and how the training went. */
function more({ commands, losses }, width, labelled) {
  const parts = [];
  if (commands.length) {
    const next = h("summary", null, "Next: score other files, explain the highest scores");
    parts.push(
      h("details", { open: !labelled, "data-testid": "next" }, next, ...commands.map(command)),
    );
  }
  if (losses.length > 1) {
    const lines = [
      { name: "loss", flat: false, points: losses.map((loss, i) => [i + 1, loss, null]) },
    ];
    const words = { title: "Training loss", xWords: "epoch", yWords: "loss", lines, unit: false };
    const chart = lineChart({ width, ...words });
    parts.push(
      h("details", { "data-testid": "losses" }, h("summary", null, "Training loss"), chart),
    );
  }
  return parts;
}

/** The confusion matrix as a table. */
function confusion(numbers) {
  const cell = ([name, letters, words]) =>
    h(
      "td",
      { class: `confusion ${letters}`, "data-testid": letters, title: words },
      h("span", { class: "count" }, whole(numbers[name])),
      h("span", { class: "words" }, `${letters}: ${words}`),
    );
  const head = (words, scope) => h("th", { scope }, words);
  return h(
    "table",
    { class: "matrix" },
    h("caption", null, "Confusion matrix"),
    h("thead", null, h("tr", null, h("td"), head("flagged", "col"), head("not flagged", "col"))),
    h(
      "tbody",
      null,
      h("tr", null, head("anomaly", "row"), cell(CELLS[0]), cell(CELLS[1])),
      h("tr", null, head("normal", "row"), cell(CELLS[2]), cell(CELLS[3])),
    ),
  );
}
