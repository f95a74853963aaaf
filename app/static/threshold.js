// The threshold: on the histogram of scores, by pointer and keyboard, and as fields.

import { axis, canvas, path, Scale } from "./charts.js";
import { h, json, s, short, whole } from "./dom.js";
import { change, current } from "./state.js";

const HEIGHT = 240;
const [LEFT, TOP, RIGHT, BOTTOM] = [58, 14, 12, 38];
const STEPS = 200; // of the arrow keys over the whole axis

/** A word for one half of the plot, beside its ticks. */
const side = (words, at) =>
  s("text", { x: -at, y: 11, "text-anchor": "middle", transform: "rotate(-90)" }, words);

/** Whether scores spread over so many powers of ten that a linear axis shows two heaps. */
export function spreadsWide(scores) {
  const positive = scores.scores.findLastIndex((score) => score > 0);
  if (positive < scores.scores.length * 0.9) return false;
  return scores.highest / scores.scores[positive >> 1] > 20;
}

/** Both ends of the axis. */
function ends(scores, logarithmic) {
  if (!logarithmic) {
    const room = (scores.highest - scores.lowest) * 0.01 || Math.abs(scores.highest) * 0.01 || 1;
    return [scores.lowest - room, scores.highest + room];
  }
  const positive = scores.scores.findLastIndex((score) => score > 0);
  const lowest = scores.scores[positive];
  return [Math.max(lowest * 0.9, scores.highest * 1e-9), scores.highest * 1.1];
}

/**
 * Draw the histogram: normal rows upwards, anomalies downwards; without labels all rows upwards.
 * Counts are on a logarithmic scale.
 * @param {function(number)} onmove told of each new threshold
 * @returns {{element: SVGElement, set: function(number)}}
 */
export function thresholdHistogram({ scores, width, logarithmic, labelled, onmove }) {
  const x = new Scale(...ends(scores, logarithmic), LEFT, width - RIGHT, logarithmic);
  const edges = x.edges(Math.min(120, Math.max(40, Math.floor(width / 8))));
  const counts = scores.histogram(edges);
  const most = Math.max(10, ...counts[0], ...counts[1]);
  const signs = labelled ? [-1, 1] : [-1];
  const middle = labelled ? TOP + (HEIGHT - TOP - BOTTOM) / 2 : HEIGHT - BOTTOM;
  const reach = middle - TOP;
  const tall = (count) => (Math.log1p(count) / Math.log1p(most)) * reach;

  const root = canvas(width, HEIGHT, "Score histogram");
  root.removeAttribute("role"); // it holds a slider
  root.classList.add("histogram");
  root.append(axis(x, "below", HEIGHT - BOTTOM, logarithmic ? "score (logarithmic)" : "score"));
  for (let power = 1; power <= most; power *= 10) {
    for (const sign of signs) {
      const at = middle + sign * tall(power);
      root.append(
        s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }),
        s("text", { class: "axis", x: LEFT - 5, y: at + 4, "text-anchor": "end" }, whole(power)),
      );
    }
  }
  for (const [label, sign] of signs.entries()) {
    const bars = [];
    for (let i = 0; i < edges.length - 1; i++) {
      const count = counts[label][i];
      if (!count) continue;
      const [a, b, y] = [x.at(edges[i]), x.at(edges[i + 1]), middle + sign * tall(count)];
      bars.push(`M${a.toFixed(1)} ${middle}V${y.toFixed(1)}H${(b - 0.6).toFixed(1)}V${middle}z`);
    }
    root.append(s("path", { class: label ? "anomalous" : "normal", d: bars.join("") }));
  }
  const flagged = s("rect", { class: "flagged", y: TOP, height: HEIGHT - TOP - BOTTOM });
  const line = s("path", { class: "threshold-line" });
  const grip = s("path", { class: "threshold-grip" });
  const slider = s(
    "g",
    {
      class: "threshold",
      role: "slider",
      tabindex: "0",
      "aria-label": "Threshold",
      "aria-orientation": "horizontal",
      "data-testid": "threshold-slider",
    },
    s("rect", { class: "hit", y: TOP, width: 24, height: HEIGHT - TOP - BOTTOM }),
    line,
    grip,
  );
  root.append(
    flagged,
    s("path", {
      class: "base",
      d: path([
        [LEFT, middle],
        [width - RIGHT, middle],
      ]),
    }),
    side(labelled ? "normal rows" : "rows", middle - reach / 2),
    ...(labelled ? [side("anomalies", middle + reach / 2)] : []),
    slider,
  );

  let threshold = scores.lowest;
  const below = scores.lowest - 1; // flags every row that there is
  const set = (value) => {
    threshold = value;
    const at = x.at(value);
    line.setAttribute("d", `M${at} ${TOP - 6}V${HEIGHT - BOTTOM}`);
    grip.setAttribute("d", `M${at - 7} ${TOP - 8}h14v9l-7 8l-7-8z`);
    slider.querySelector(".hit").setAttribute("x", at - 12);
    flagged.setAttribute("x", at);
    flagged.setAttribute("width", Math.max(0, width - RIGHT - at));
    const numbers = scores.at(value);
    const above = numbers.truePositives + numbers.falsePositives;
    slider.setAttribute("aria-valuemin", Math.min(below, value));
    slider.setAttribute("aria-valuemax", Math.max(scores.highest, value));
    slider.setAttribute("aria-valuenow", value);
    slider.setAttribute("aria-valuetext", `${short(value)}, ${whole(above)} rows flagged`);
  };
  const move = (value) => {
    set(value);
    onmove(value);
  };

  const pointed = (event) => {
    const box = root.getBoundingClientRect();
    const value = x.value(((event.clientX - box.left) / box.width) * width);
    move(value <= x.low ? below : value);
  };
  root.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    root.setPointerCapture(event.pointerId);
    slider.focus({ preventScroll: true });
    event.preventDefault();
    pointed(event);
  });
  root.addEventListener("pointermove", (event) => {
    if (root.hasPointerCapture(event.pointerId)) pointed(event);
  });
  slider.addEventListener("keydown", (event) => {
    const step = (x.to - x.from) / STEPS;
    const by = {
      ArrowRight: step,
      ArrowUp: step,
      ArrowLeft: -step,
      ArrowDown: -step,
      PageUp: 10 * step,
      PageDown: -10 * step,
    }[event.key];
    if (by !== undefined) {
      const value = x.value(x.at(threshold) + by);
      move(value <= x.low ? below : value);
    } else if (event.key === "Home") move(below);
    else if (event.key === "End") move(scores.highest);
    else return;
    event.preventDefault();
  });
  return { element: root, set };
}

/** Fields for a threshold: its value, alerts, a rate or costs; `set` follows the threshold. */
export function thresholdRules({ query, scores, labelled, moved }) {
  const costs = current();
  const note = h("span", { "data-testid": "rule-note" });
  const field = (label, name, value, onvalue, attributes = {}) => {
    const changed = () => Number.isFinite(input.valueAsNumber) && onvalue(input.valueAsNumber);
    const settings = { type: "number", step: "any", name, value, onchange: changed, ...attributes };
    const input = h("input", settings);
    return { input, label: h("label", { class: "field" }, h("span", null, label), input) };
  };
  const byRate = async (percent) => {
    const rate = percent / 100;
    if (!(rate > 0 && rate < 1)) return;
    try {
      const [found] = await json("/api/thresholds", { ...query, rate });
      const rows = labelled ? "normal rows shown" : "rows shown";
      note.textContent =
        found?.words ?? `too few validation rows: ${percent} % of the ${rows} are above`;
      moved(found?.threshold ?? scores.thresholdFor(rate));
    } catch (error) {
      note.textContent = error.message;
    }
  };
  const byCost = () => {
    const [miss, alarm] = [missed.input.valueAsNumber, alarmed.input.valueAsNumber];
    if (!(miss >= 0 && alarm >= 0)) return;
    change({ miss, alarm }, { replace: true, quiet: true });
    moved(scores.cheapest(miss, alarm));
  };
  const value = field("Threshold (flagged: above it)", "threshold", null, moved, {
    "data-testid": "threshold",
  });
  const alerts = field(
    "Alerts: rows flagged",
    "alerts",
    null,
    (n) => moved(scores.thresholdForAlerts(n)),
    { min: 0, step: 1 },
  );
  const rate = field("False-positive rate, %", "rate", null, byRate, { min: 0, max: 100 });
  const missed = field("Cost of a miss", "miss", costs.miss, byCost, { min: 0 });
  const alarmed = field("Cost of a false alarm", "alarm", costs.alarm, byCost, { min: 0 });
  const fields = [value, alerts, rate, ...(labelled ? [missed, alarmed] : [])];
  return {
    element: h("p", { class: "offers" }, ...fields.map(({ label }) => label), note),
    set(threshold) {
      value.input.value = String(Number(threshold.toPrecision(9)));
      alerts.input.value = scores.rows(scores.above(threshold));
      const [miss, alarm] = [missed.input.valueAsNumber, alarmed.input.valueAsNumber];
      if (!labelled || !(miss >= 0 && alarm >= 0)) return;
      const least = scores.cost(scores.cheapest(miss, alarm), miss, alarm);
      const words = `the least on these rows: ${short(least)}`;
      note.textContent =
        `Cost ${short(scores.cost(threshold, miss, alarm))}; ${words}. ` +
        "To report it, choose it on validation rows (Rows: val).";
    },
  };
}
