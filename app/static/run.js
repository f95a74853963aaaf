// One run on one view: threshold, confusion matrix, ROC and precision-recall curves.

import { unitCurve } from "./charts.js";
import { h, json, refill, request, select, share, short, showError, whole } from "./dom.js";
import { Scores } from "./metrics.js";
import { change } from "./state.js";
import { spreadsWide, thresholdHistogram } from "./threshold.js";

const RATES = ["precision", "recall", "F1", "FPR", "accuracy"];
const CELLS = [
  ["truePositives", "TP", "anomalies, flagged"],
  ["falseNegatives", "FN", "anomalies, missed"],
  ["falsePositives", "FP", "normal rows, flagged"],
  ["trueNegatives", "TN", "normal rows, let through"],
];
const READING =
  "No threshold of validation rows is at hand (the model is not among the models). It starts " +
  "where 1 % of the normal rows shown are above: good for looking, not for reporting.";

const UNLABELLED =
  "The rows have no labels to compare scores with. The models can score tables: see above.";

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
      const words = state.view ? "No run has scores for this view." : UNLABELLED;
      body.replaceChildren(h("p", null, words));
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
    const { scores, offered } = loaded;
    const asked = Number(state.threshold ?? Number.NaN);
    const start = offered.find((choice) => choice.name === "FPR 1 %") ?? offered[0];
    const threshold = Number.isFinite(asked)
      ? asked
      : (start?.threshold ?? scores.thresholdFor(0.01));
    const wide = { linear: false, log: true }[state.axis] ?? spreadsWide(scores);
    heading.textContent = `${run}, ${view}`;
    document.title = `${run}, ${view} – ${data_set} – A3 dashboard`;
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
    figures(body, { scores, offered, threshold, logarithmic }, onthreshold);
    return threshold;
  };
}

/** Scores of a view and thresholds that validation rows gave. */
async function load(query) {
  const [response, offered] = await Promise.all([
    request("/api/scores", query),
    json("/api/thresholds", query),
  ]);
  const [normal, anomalous] = ["x-normal-rows", "x-anomalous-rows"].map((name) =>
    Number(response.headers.get(name)),
  );
  return { scores: Scores.read(await response.arrayBuffer(), normal, anomalous), offered };
}

/** Everything that follows the threshold. */
function figures(body, { scores, offered, threshold, logarithmic }, onthreshold) {
  const width = Math.max(280, Math.min(1100, body.clientWidth));
  const curves = scores.curves();
  const side = Math.min(width, 320);
  const roc = unitCurve({
    width: side,
    title: `ROC curve, area ${share(curves.auc)}`,
    xWords: "false-positive rate",
    yWords: "recall",
    points: curves.roc,
    reference: [[0, 0], [1, 1]],
  });
  const base = scores.anomalous / (scores.normal + scores.anomalous);
  const pr = unitCurve({
    width: side,
    title: `Precision-recall curve, average precision ${share(curves.ap)}`,
    xWords: "recall",
    yWords: "precision",
    points: curves.pr,
    reference: [[0, base], [1, base]],
  });
  const input = h("input", {
    type: "number",
    step: "any",
    name: "threshold",
    "data-testid": "threshold",
    onchange: () => Number.isFinite(input.valueAsNumber) && moved(input.valueAsNumber),
  });
  const [matrix, rates] = [h("div"), h("dl", { class: "rates" })];
  const live = h("p", { class: "for-readers", role: "status", "data-testid": "live" });
  let waiting = null;

  const show = (value) => {
    histogram.set(value);
    input.value = String(Number(value.toPrecision(9)));
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
    return numbers;
  };
  const moved = (value) => {
    const numbers = show(value);
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      change({ threshold: String(value), page: null }, { replace: true, quiet: true });
      const words = RATES.map((name) => `${name} ${share(numbers[name])}`).join(", ");
      live.textContent = `threshold ${short(value)}: ${words}`;
      onthreshold(String(value));
    }, 200);
  };
  const histogram = thresholdHistogram({ scores, width, logarithmic, onmove: moved });
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
    h(
      "p",
      { class: "offers" },
      h("label", { class: "field" }, h("span", null, "Threshold (flagged: above it)"), input),
      ...(choices.length
        ? [h("span", null, "From validation rows:"), ...choices]
        : [h("span", null, READING)]),
    ),
    scores.exact
      ? ""
      : h(
          "p",
          { class: "note" },
          `Drawn and counted from an even choice of ${whole(scores.scores.length)} of ` +
            `${whole(scores.normal + scores.anomalous)} scores: counts are rounded.`,
        ),
    live,
    h(
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
    ),
  );
  show(threshold);
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
