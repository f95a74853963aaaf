// Charts as SVG, drawn at the width they have. Colours come from the style sheet's classes.

import { s, short } from "./dom.js";

/** Round numbers from low to high, some `count` of them. */
export function ticks(low, high, count = 5) {
  if (!(high > low)) return [low];
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) {
    found.push(Number((i * step).toPrecision(12)));
  }
  return found;
}

/** Positions of values on a line from `from` to `to`, linear or logarithmic. */
export class Scale {
  constructor(low, high, from, to, logarithmic = false) {
    this.map = logarithmic ? (v) => Math.log(Math.max(v, low)) : (v) => v;
    this.back = logarithmic ? Math.exp : (v) => v;
    [this.low, this.high, this.from, this.to] = [low, high, from, to];
    this.logarithmic = logarithmic;
    this.span = this.map(high) - this.map(low) || 1;
  }

  /** Where a value is; what lies beyond an end is at the end. */
  at(value) {
    const part = (this.map(value) - this.map(this.low)) / this.span;
    return this.from + Math.min(1, Math.max(0, part)) * (this.to - this.from);
  }

  /** The value at a position. */
  value(position) {
    const part = Math.min(1, Math.max(0, (position - this.from) / (this.to - this.from)));
    return this.back(this.map(this.low) + part * this.span);
  }

  ticks(count) {
    if (!this.logarithmic) return ticks(this.low, this.high, count);
    const [first, last] = [Math.ceil(Math.log10(this.low)), Math.floor(Math.log10(this.high))];
    const step = Math.max(1, Math.ceil((last - first + 1) / count));
    const found = [];
    for (let power = last; power >= first; power -= step) found.unshift(10 ** power);
    return found.length > 1 ? found : [this.low, this.high];
  }

  /** Ends of `count` bins of equal width on the line. */
  edges(count) {
    const step = (this.to - this.from) / count;
    return Array.from({ length: count + 1 }, (_, i) => this.value(this.from + i * step));
  }
}

/** Ticks short enough to stand beside each other. */
const words = (value) =>
  value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)
    ? value.toExponential(0).replace("e+", "e")
    : short(value);

/** An axis below or left of a plot, with a word for what it measures. */
export function axis(scale, side, at, label, { count = 5, text = words, grid = null } = {}) {
  const below = side === "below";
  const group = s("g", { class: "axis" });
  for (const value of scale.ticks(count)) {
    const p = scale.at(value);
    if (grid !== null) {
      const line = below ? { x1: p, x2: p, y1: at, y2: grid } : { x1: at, x2: grid, y1: p, y2: p };
      group.append(s("line", { class: "grid", ...line }));
    }
    const place = below
      ? { x: p, y: at + 14, "text-anchor": "middle" }
      : { x: at - 5, y: p + 4, "text-anchor": "end" };
    group.append(s("text", place, text(value)));
  }
  const middle = (scale.from + scale.to) / 2;
  const title = below
    ? { x: middle, y: at + 29, "text-anchor": "middle" }
    : { x: -middle, y: at - 42, "text-anchor": "middle", transform: "rotate(-90)" };
  group.append(s("text", { class: "axis-title", ...title }, label));
  return group;
}

export const path = (points) =>
  points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

/** An empty chart with a title for those who cannot see it. */
export function canvas(width, height, title) {
  return s(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title },
  );
}

/**
 * A curve in the unit square.
 * @returns {{element: SVGElement, mark: function(number, number)}} `mark` moves the operating point
 */
export function unitCurve({ width, title, xWords, yWords, points, reference }) {
  const [left, top, right, bottom] = [48, 8, 10, 38];
  const side = Math.min(width - left - right, 260);
  const x = new Scale(0, 1, left, left + side);
  const y = new Scale(0, 1, top + side, top);
  const root = canvas(left + side + right, top + side + bottom, title);
  const put = ([a, b]) => [x.at(a), y.at(b)];
  const dot = s("circle", { class: "operating", r: 5 });
  const cross = s("path", { class: "operating-lines" });
  root.append(
    axis(x, "below", top + side, xWords, { grid: top }),
    axis(y, "left", left, yWords, { grid: left + side }),
    s("path", { class: "reference", d: path(reference.map(put)) }),
    s("path", { class: "curve", d: path(points.map(put)) }),
    cross,
    dot,
  );
  const mark = (a, b) => {
    const [px, py] = put([a, b]);
    dot.setAttribute("cx", px);
    dot.setAttribute("cy", py);
    cross.setAttribute("d", path([[left, py], [px, py], [px, top + side]]));
  };
  return { element: root, mark };
}

const MARKED = 12; // points of a line, at most, that are marked
const MARKS = [
  (x, y) => `M${x - 4} ${y}a4 4 0 1 0 8 0a4 4 0 1 0-8 0`,
  (x, y) => `M${x - 4} ${y - 4}h8v8h-8z`,
  (x, y) => `M${x} ${y - 5}l5 9h-10z`,
  (x, y) => `M${x} ${y - 5}l5 5l-5 5l-5-5z`,
  (x, y) => `M${x} ${y + 5}l5-9h-10z`,
];

/** The mark of the i-th line, alone, for a legend. */
export const legendMark = (i) =>
  s(
    "svg",
    { width: 26, height: 12, class: `line-${i % 7}`, "aria-hidden": "true" },
    s("path", { class: "line", d: "M1 6H25" }),
    s("path", { class: "mark", d: MARKS[i % MARKS.length](13, 6) }),
  );

/**
 * Lines with spread over a few values of x.
 * @param {Array<{name: string, points: Array<[number, number, number|null]>, flat: boolean}>} lines
 *   points are x, mean, deviation; a flat line holds for every x
 * @param {boolean} unit whether values lie between 0 and 1
 */
export function lineChart({
  width,
  height = 260,
  title,
  xWords,
  yWords,
  lines,
  logarithmic,
  unit = true,
}) {
  const [left, top, right, bottom] = [52, 10, 14, 38];
  const xs = lines.flatMap((line) => (line.flat ? [] : line.points.map(([x]) => x)));
  const ys = lines.flatMap((l) => l.points.flatMap(([, m, d]) => [m - (d ?? 0), m + (d ?? 0)]));
  const room = (Math.max(...ys) - Math.min(...ys)) * 0.05 || 0.01;
  const x = new Scale(
    ...[Math.min(...xs), Math.max(...xs), left + 12, width - right - 12],
    logarithmic && Math.min(...xs) > 0,
  );
  const ends = [Math.min(...ys) - room, Math.max(...ys) + room];
  const bounds = unit ? [Math.max(0, ends[0]), Math.min(1, ends[1])] : ends;
  const y = new Scale(...bounds, height - bottom, top);
  const values = [...new Set(xs)].sort((a, b) => a - b);
  const few = values.length <= MARKED;
  if (few) x.ticks = () => values;
  const root = canvas(width, height, title);
  root.append(
    axis(x, "below", height - bottom, xWords, { grid: top, text: short }),
    axis(y, "left", left, yWords, { grid: width - right, text: short }),
  );
  for (const [i, line] of lines.entries()) {
    const points = line.flat
      ? [x.low, x.high].map((v) => [v, ...line.points[0].slice(1)])
      : [...line.points].sort((a, b) => a[0] - b[0]);
    const group = s("g", { class: `line-${i % 7}${line.strong ? " strong" : ""}` });
    const places = points.map(([v, mean]) => [x.at(v), y.at(mean)]);
    group.append(s("path", { class: line.flat ? "line flat" : "line", d: path(places) }));
    for (const [j, [, mean, deviation]] of points.entries()) {
      const [px, py] = places[j];
      if (deviation !== null && !line.flat) {
        const whisker = `M${px} ${y.at(mean - deviation)}V${y.at(mean + deviation)}`;
        group.append(s("path", { class: "whisker", d: whisker }));
      }
      if (few) group.append(s("path", { class: "mark", d: MARKS[i % MARKS.length](px, py) }));
    }
    group.append(s("title", null, line.name));
    root.append(group);
  }
  return root;
}

/** One value per seed as a ring, their mean as a bar, from `low` to 1. */
export function seedDots(values, mean, low, width = 110) {
  const x = new Scale(low, 1, 6, width - 6);
  const root = s("svg", { width, height: 16, class: "dots", "aria-hidden": "true" });
  root.append(s("line", { class: "grid", x1: 6, x2: width - 6, y1: 8, y2: 8 }));
  for (const value of values) root.append(s("circle", { cx: x.at(value), cy: 8, r: 3 }));
  if (mean !== null) root.append(s("path", { class: "mean", d: `M${x.at(mean)} 2V14` }));
  return root;
}
