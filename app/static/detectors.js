// Detectors side by side, and how they do over label budgets and pollutions.

import { legendMark, lineChart, seedDots } from "./charts.js";
import {
  byName,
  h,
  json,
  refill,
  scrolled,
  select,
  share,
  showError,
  spread,
  whole,
} from "./dom.js";
import { change } from "./state.js";

const VIEWS = ["known", "transfer", "unknown"];

/** Returns what shows a state and gives the metrics of its data set and protocol. */
export function detectorsPanel(root) {
  const table = h("div");
  const [curves, protocols] = [h("div"), h("div")];
  root.append(h("h2", null, "Detectors"), table, curves, protocols);
  let key = null;
  let study = null;

  return async function update(state, listed) {
    const wanted = [state.data_set, state.part].join("/");
    try {
      if (wanted !== key) {
        const { data_set, part } = state;
        study = await json("/api/metrics", { data_set, part });
        key = wanted;
      }
    } catch (error) {
      key = null;
      showError(table, error);
      return null;
    }
    const mine = (line) => line.protocol === state.protocol;
    const metrics = {
      lines: study.lines.filter(mine),
      spread: study.spread.filter(mine),
      problems: study.problems,
    };
    refill(
      table,
      ...metrics.problems.map((problem) => h("p", { class: "problem" }, problem)),
      ...detectorTable(metrics, state),
    );
    refill(curves, ...sweeps(metrics, state, listed, root.clientWidth));
    refill(protocols, ...acrossProtocols(study, state));
    return metrics;
  };
}

/** A row per run: means over seeds, the chosen seed's AUC, what the training cost. */
function detectorTable(metrics, state) {
  const mine = metrics.spread.filter((line) => line.experiment === state.experiment);
  const views = VIEWS.filter((view) => mine.some((line) => line.view === view));
  const labels = [...new Set(mine.map((line) => line.label))].sort(byName);
  const of = (label, view) => mine.find((line) => line.label === label && line.view === view);
  const best = new Set(
    views.flatMap((view) =>
      ["AUC", "AP"].map((metric) => {
        const values = labels.map((label) => of(label, view)?.[`${metric}_mean`] ?? -1);
        return `${view} ${metric} ${share(Math.max(...values))}`;
      }),
    ),
  );
  const ofSeeds = metrics.lines.filter(
    (line) => line.experiment === state.experiment && line.view === state.view && line.AUC !== null,
  );
  const low = Math.min(0.5, ...ofSeeds.map((line) => line.AUC));
  const rows = labels.map((label) => {
    const cells = views.flatMap((view) =>
      ["AUC", "AP"].map((metric) => {
        const line = of(label, view);
        const mean = line?.[`${metric}_mean`] ?? null;
        const words = spread(mean, line?.[`${metric}_std`] ?? null);
        const marked = mean !== null && best.has(`${view} ${metric} ${share(mean)}`);
        return h("td", { class: "number" }, marked ? h("strong", null, words) : words);
      }),
    );
    const first = of(label, state.view) ?? mine.find((line) => line.label === label);
    const { run, precision } = first;
    const seeds = ofSeeds.filter(
      (l) => l.run === run && (label === run || l.precision === precision),
    );
    const chosen = seeds.find((line) => line.seed === Number(state.seed));
    const jointly = first.jointly > 1 ? `/${whole(first.jointly)}` : "";
    const seconds = first.seconds === null ? "–" : first.seconds.toFixed(1) + jointly;
    const choose = () => change({ run, threshold: null, row: null, page: null });
    const button = h("button", { type: "button", class: "link", onclick: choose }, label);
    return h(
      "tr",
      { "aria-current": run === state.run ? "true" : null, "data-run": run },
      h("th", { scope: "row" }, first.AUC_mean === null ? label : button),
      h(
        "td",
        null,
        seedDots(
          seeds.map((line) => line.AUC),
          first.AUC_mean,
          low,
        ),
      ),
      h("td", { class: "number" }, share(chosen?.AUC ?? null)),
      ...cells,
      ...[
        whole(first.seeds.length),
        whole(first.rows),
        whole(first.epochs),
        whole(first.updates),
      ].map((words) => h("td", { class: "number" }, words)),
      h("td", { class: "number" }, seconds),
      h("td", null, precision || "–"),
      h("td", { class: "error" }, first.errors.join("; ")),
    );
  });
  const wide = (words, n) => h("th", { scope: "colgroup", colspan: n }, words);
  const head = (words) => h("th", { scope: "col" }, words);
  const prevalence = mine.find((line) => line.view === state.view)?.prevalence ?? null;
  return [
    h(
      "p",
      { class: "note" },
      "Mean ± standard deviation over seeds, the best in bold. Dots: AUC of each seed, " +
        `${state.view}, from ${share(low, 2)} to 1. Prevalence (AP of a constant score), ` +
        `${state.view}: ${share(prevalence)}. Seconds/4: one training served four budgets. ` +
        "Runs of several precisions are never averaged.",
    ),
    scrolled(
      "Detectors side by side",
      h(
        "table",
        { class: "detectors" },
        h(
          "thead",
          null,
          h("tr", null, h("td"), wide(state.view, 2), ...views.map((v) => wide(v, 2)), wide("", 7)),
          h(
            "tr",
            null,
            head("run"),
            head("seeds"),
            head(`seed ${state.seed}`),
            ...views.flatMap(() => [head("AUC"), head("AP")]),
            ...["n", "rows", "epochs", "updates", "seconds", "precision", "error"].map(head),
          ),
        ),
        h("tbody", null, ...rows),
      ),
    ),
  ];
}

/** AUC or AP over label budgets, and over pollutions, where there are several. */
function sweeps(metrics, state, listed, width) {
  const metric = state.metric === "AP" ? "AP" : "AUC";
  const mine = metrics.spread.filter((l) => l.view === state.view && l[`${metric}_mean`] !== null);
  const point = (x, line) => [x, line[`${metric}_mean`], line[`${metric}_std`]];
  const here = mine.filter((line) => line.experiment === state.experiment);
  const budgets = grouped(here, (line) => {
    const found = /^(.*)-n(\d+)$/.exec(line.run);
    if (!found) return [line.label, point(0, line), true];
    const name = line.label.replace(line.run, found[1]);
    return [name, point(Number(found[2]), line), false];
  });
  const base = listed.find((line) => line.experiment === state.experiment).base;
  // Natural pollution, stored as 1, is what the data set happens to have: no point on the axis.
  const numbered = listed.filter((line) => line.base === base && line.p_contamination < 1);
  const shares = new Map(numbered.map((line) => [line.experiment, line.p_contamination]));
  const polluted = mine.filter((line) => shares.has(line.experiment));
  const pollution = grouped(polluted, (line) => [
    line.label,
    point(shares.get(line.experiment), line),
    false,
  ]);
  const chosen = state.run?.replace(/-n\d+$/, "");
  const charts = [
    ["Label budgets", "known anomalies in training", budgets, chosen, true],
    ["Pollution", "share of anomalies among normal training rows", pollution, state.run, false],
  ].filter(([, , lines]) => lines.some((line) => line.points.length > 1));
  if (!charts.length) return [];
  const pick = (value) => change({ metric: value === "AUC" ? null : value });
  const side = Math.max(280, Math.min(560, charts.length > 1 ? width / 2 - 12 : width));
  return [
    h(
      "div",
      { class: "heading" },
      h("h3", null, charts.map(([title]) => title).join(" and ")),
      select("Metric", ["AUC", "AP"], metric, pick, { name: "metric" }),
    ),
    h(
      "div",
      { class: "side-by-side" },
      ...charts.map(([title, xWords, lines, strong, logarithmic]) => {
        const marked = lines.map((line) => ({ ...line, strong: line.name === strong }));
        const yWords = `${metric}, ${state.view}`;
        const settings = { width: side, title, xWords, yWords, lines: marked, logarithmic };
        const legend = marked.map((line, i) => h("li", null, legendMark(i), line.name));
        return h("figure", null, lineChart(settings), h("ul", { class: "legend" }, ...legend));
      }),
    ),
  ];
}

/** Lines by name from [name, point, flat] of each entry; a line of several points is not flat. */
function grouped(entries, parts) {
  const lines = new Map();
  for (const entry of entries) {
    const [name, point, flat] = parts(entry);
    if (!lines.has(name)) lines.set(name, { name, points: [], flat });
    lines.get(name).points.push(point);
  }
  return [...lines.values()].sort((a, b) => a.flat - b.flat || byName(a.name, b.name));
}

/** What the same classes gave under other protocols. */
function acrossProtocols(study, { experiment, view }) {
  const mine = study.spread.filter((line) => line.experiment === experiment && line.view === view);
  const protocols = [...new Set(mine.map((line) => line.protocol))].sort(byName);
  if (protocols.length < 2) return [];
  const labels = [...new Set(mine.map((line) => line.label))].sort(byName);
  const head = (words, attributes) => h("th", { scope: "col", ...attributes }, words);
  const rows = labels.map((label) => {
    const cells = protocols.flatMap((name) => {
      const line = mine.find((l) => l.label === label && l.protocol === name);
      return ["AUC", "AP"].map((metric) =>
        h(
          "td",
          { class: "number" },
          line ? spread(line[`${metric}_mean`], line[`${metric}_std`]) : "",
        ),
      );
    });
    return h("tr", null, h("th", { scope: "row" }, label), ...cells);
  });
  const words =
    `${view}, mean ± standard deviation over each protocol's seeds. Protocols split, scale and ` +
    "train in ways of their own: their test rows may differ.";
  const table = h(
    "table",
    { class: "detectors", "data-testid": "protocols" },
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        h("td"),
        ...protocols.map((name) => head(name, { scope: "colgroup", colspan: 2 })),
      ),
      h("tr", null, head("run"), ...protocols.flatMap(() => [head("AUC"), head("AP")])),
    ),
    h("tbody", null, ...rows),
  );
  const title = `Protocols: ${protocols.join(", ")}`;
  const shown = scrolled("Protocols side by side", table);
  return [h("details", null, h("summary", null, title), h("p", { class: "note" }, words), shown)];
}
