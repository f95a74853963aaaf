// The page of results: what is chosen in the address, and a panel for each question about it.

import { byName, h, json, refill, select, showError } from "./dom.js";
import { detectorsPanel } from "./detectors.js";
import { rowsPanel } from "./rows.js";
import { runPanel } from "./run.js";
import { change } from "./state.js";

const PLACE = ["data_set", "protocol", "experiment", "part", "seed"];

/** Build the page; returns what shows a state. */
export function resultsPage(main) {
  const stay = (event) => event.preventDefault();
  const chooser = h("form", { class: "chooser", "aria-label": "What is shown", onsubmit: stay });
  const everything = h("details");
  const [detectors, run, rows] = [h("section"), h("section"), h("section")];
  const status = h("p", { role: "status" }, "reading the results …");
  main.append(h("div", null, status), chooser, everything, detectors, run, rows);
  const showDetectors = detectorsPanel(detectors);
  const showRun = runPanel(run);
  const showRows = rowsPanel(rows);
  let listed = null;
  let latest = 0;

  return async function update(asked) {
    const mine = ++latest;
    try {
      if (listed === null) {
        const found = await json("/api/results");
        listed = found.listed;
        if (!listed.length) {
          status.replaceChildren(...empty(found.root));
          return;
        }
        status.replaceChildren(...problems(listed));
        listed = listed.filter((line) => !line.problem);
        everything.replaceChildren(...overview(listed));
      }
      if (mine !== latest || !listed.length) return;
      const state = resolved(listed, asked);
      change(state, { replace: true, quiet: true });
      refill(chooser, ...choices(listed, state));
      const place = listed.find((line) =>
        PLACE.every((name) => String(line[name]) === state[name]),
      );
      detectors.hidden = state.view === "all"; // rows without labels have no metrics
      const metrics = detectors.hidden ? { lines: [] } : await showDetectors(state, listed);
      if (mine !== latest || !metrics) return;
      const measured = metrics.lines.filter(
        (line) =>
          line.experiment === state.experiment &&
          line.seed === Number(state.seed) &&
          line.view === state.view &&
          line.AUC !== null,
      );
      const runs = [
        ...place.runs,
        ...measured.toSorted((a, b) => b.AUC - a.AUC).map((line) => line.run),
      ];
      if (!runs.includes(state.run)) {
        state.run = runs[0] ?? "";
        change({ run: state.run, threshold: null }, { replace: true, quiet: true });
        delete state.threshold;
        if (!detectors.hidden) await showDetectors(state, listed);
      }
      const moved = (threshold, about) => showRows({ ...state, threshold }, about);
      const found = await showRun(state, runs.toSorted(byName), moved);
      if (mine !== latest) return;
      rows.hidden = found === null;
      if (found) showRows({ ...state, threshold: found.threshold }, found.about);
    } catch (error) {
      showError(status, error);
    }
  };
}

/** What to do where nothing is. */
const empty = (root) => [
  `There are no results in the folder ${root} yet. `,
  h("code", null, "make demo"),
  " trains on scikit-learn's digits in about a minute; any do_ script leaves results there. " +
    "Then load this page again.",
];

const problems = (listed) =>
  listed.filter((line) => line.problem).map((line) => h("p", { class: "problem" }, line.problem));

/** The state with everything chosen: what was asked for where it exists, else the newest. */
function resolved(listed, asked) {
  let left = listed;
  const state = { ...asked };
  for (const name of PLACE) {
    const fits = left.filter((line) => String(line[name]) === asked[name]);
    if (!fits.length) {
      const newest = left.reduce((a, b) => (b.changed > a.changed ? b : a));
      state[name] = String(newest[name]);
    }
    left = left.filter((line) => String(line[name]) === state[name]);
  }
  const views = Object.keys(left[0].views);
  if (!views.includes(state.view)) state.view = views.includes("transfer") ? "transfer" : views[0];
  return state;
}

/** Selects for each word of the place; changing one forgets those that follow from it. */
function choices(listed, state) {
  let left = listed;
  const fields = [];
  for (const name of PLACE) {
    const values = [...new Set(left.map((line) => String(line[name])))].sort(byName);
    const choose = (value) =>
      change({ [name]: value, threshold: null, row: null, page: null, feature: null });
    fields.push(select(WORDS[name], values, state[name], choose, { name }));
    left = left.filter((line) => String(line[name]) === state[name]);
  }
  const views = Object.entries(left[0].views).map(([view, words]) => [view, `${view}: ${words}`]);
  const choose = (view) => change({ view, threshold: null, row: null, page: null, feature: null });
  fields.push(select("Test view", views, state.view, choose, { name: "view" }));
  return fields;
}

const WORDS = {
  data_set: "Data set",
  protocol: "Protocol",
  experiment: "Experiment",
  part: "Rows",
  seed: "Seed",
};

/** All experiments with their seeds, as links. */
function overview(listed) {
  const groups = Map.groupBy(listed, (line) =>
    JSON.stringify([line.data_set, line.protocol, line.experiment, line.part]),
  );
  const rows = [...groups].map(([key, lines]) => {
    const [data_set, protocol, experiment, part] = JSON.parse(key);
    const seeds = lines.map((line) => line.seed).sort((a, b) => a - b);
    const links = seeds.map((seed) => {
      const query = new URLSearchParams({ data_set, protocol, experiment, part, seed });
      return h("a", { href: `?${query}`, onclick: follow }, String(seed));
    });
    const cells = [data_set, protocol, experiment, part].map((word) => h("td", null, word));
    return h("tr", null, ...cells, h("td", null, ...links.flatMap((link) => [link, " "])));
  });
  const heads = ["data set", "protocol", "experiment", "rows", "seeds"];
  return [
    h("summary", null, `All ${groups.size} experiments, ${listed.length} result folders`),
    h(
      "div",
      { class: "scroll", role: "region", "aria-label": "All experiments", tabindex: "0" },
      h(
        "table",
        null,
        h("thead", null, h("tr", null, ...heads.map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", null, ...rows),
      ),
    ),
  ];
}

/** Follow a link of this page without loading it anew. */
export function follow(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const wanted = Object.fromEntries(new URL(event.currentTarget.href).searchParams);
  change({ threshold: null, row: null, page: null, feature: null, run: null, ...wanted });
}
