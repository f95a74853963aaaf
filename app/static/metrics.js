// Exact numbers from sorted scores. A row is flagged if its score is above the threshold.

/** Whether a score is flagged; compared in float32, as numpy does it with float32 scores. */
export const isAbove = (score, threshold) => score > Math.fround(threshold);

/** Scores of a view, highest first, with labels (1 = anomaly) in the same order. */
export class Scores {
  /**
   * @param {Float32Array} scores highest first
   * @param {Uint8Array} labels
   * @param {number} normal rows of the view with label 0; more than there are labels 0 if the
   *   server sent an even choice
   * @param {number} anomalous
   */
  constructor(scores, labels, normal, anomalous) {
    this.scores = scores;
    this.labels = labels;
    this.normal = normal;
    this.anomalous = anomalous;
    this.hits = new Uint32Array(scores.length + 1); // anomalies among the first i rows
    for (let i = 0; i < scores.length; i++) this.hits[i + 1] = this.hits[i] + labels[i];
    const kept = this.hits[scores.length];
    this.weights = [normal / Math.max(1, scores.length - kept), anomalous / Math.max(1, kept)];
    this.exact = scores.length === normal + anomalous;
  }

  static read(buffer, normal, anomalous) {
    const n = buffer.byteLength / 5;
    const scores = new Float32Array(buffer, 0, n);
    return new Scores(scores, new Uint8Array(buffer, 4 * n, n), normal, anomalous);
  }

  get highest() {
    return this.scores[0];
  }

  get lowest() {
    return this.scores[this.scores.length - 1];
  }

  /** How many of the kept scores are above a threshold. */
  above(threshold) {
    let [low, high] = [0, this.scores.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isAbove(this.scores[middle], threshold)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Flagged normal rows and flagged anomalies, if the first `i` scores are flagged. */
  flagged(i) {
    const hits = this.hits[i];
    return [(i - hits) * this.weights[0], hits * this.weights[1]].map(Math.round);
  }

  /** Confusion matrix and what follows from it. Precision of nothing flagged is 0, as in files. */
  at(threshold) {
    const [falsePositives, truePositives] = this.flagged(this.above(threshold));
    const [positives, rows] = [falsePositives + truePositives, this.normal + this.anomalous];
    const trueNegatives = this.normal - falsePositives;
    return {
      truePositives,
      falsePositives,
      trueNegatives,
      falseNegatives: this.anomalous - truePositives,
      precision: truePositives / Math.max(1, positives),
      recall: truePositives / this.anomalous,
      F1: (2 * truePositives) / Math.max(1, positives + this.anomalous),
      FPR: falsePositives / this.normal,
      accuracy: (truePositives + trueNegatives) / rows,
    };
  }

  /** Rows above, if the first `i` kept scores are flagged. */
  rows(i) {
    const [normal, anomalous] = this.flagged(i);
    return normal + anomalous;
  }

  /** Number of kept scores that stand for at most `k` rows. */
  first(k) {
    let [low, high] = [0, this.scores.length];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.rows(middle) <= k) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Lowest threshold that flags at most so many rows. */
  thresholdForAlerts(k) {
    const i = this.first(k);
    return i < this.scores.length ? this.scores[i] : this.lowest - 1;
  }

  /** Cost of a threshold, if a miss and a false alarm cost so much. */
  cost(threshold, miss, alarm) {
    const { falseNegatives, falsePositives } = this.at(threshold);
    return falseNegatives * miss + falsePositives * alarm;
  }

  /** Threshold of the least cost on the rows shown; the highest of equally good ones. */
  cheapest(miss, alarm) {
    const n = this.scores.length;
    let [best, least] = [this.highest, Infinity];
    for (let i = 0; i <= n; i++) {
      if (i > 0 && i < n && this.scores[i] === this.scores[i - 1]) continue;
      const [falsePositives, found] = this.flagged(i);
      const cost = (this.anomalous - found) * miss + falsePositives * alarm;
      if (cost < least) [best, least] = [i < n ? this.scores[i] : this.lowest - 1, cost];
    }
    return best;
  }

  /** Share of anomalies among the k highest scores; equal scores share their places. */
  precisionAt(k) {
    const i = Math.max(1, this.first(k));
    const n = this.scores.length;
    let [low, high] = [i - 1, i];
    while (low > 0 && this.scores[low - 1] === this.scores[i - 1]) low--;
    while (high < n && this.scores[high] === this.scores[i - 1]) high++;
    const part = (i - low) / (high - low);
    const hits = this.hits[low] + part * (this.hits[high] - this.hits[low]);
    return (hits * this.weights[1]) / Math.max(1, this.rows(i));
  }

  /** Lowest threshold that flags at most this share of the normal rows shown. */
  thresholdFor(rate) {
    const allowed = Math.floor(rate * this.normal + 1e-9);
    for (let i = 0; i < this.scores.length; i++) {
      if (this.flagged(i + 1)[0] > allowed) return this.scores[i];
    }
    return this.lowest - 1;
  }

  /** Ends of runs of equal scores: [flagged normal rows, flagged anomalies], all rows last. */
  steps() {
    const n = this.scores.length;
    const found = [[0, 0]];
    for (let i = 1; i <= n; i++) {
      if (i === n || this.scores[i] !== this.scores[i - 1]) found.push(this.flagged(i));
    }
    return found;
  }

  /** Points of the ROC and of the precision-recall curve, with the areas below them. */
  curves() {
    const steps = this.steps();
    const roc = steps.map(([fp, tp]) => [fp / this.normal, tp / this.anomalous]);
    const pr = steps.slice(1).map(([fp, tp]) => [tp / this.anomalous, tp / Math.max(1, fp + tp)]);
    let [auc, ap] = [0, 0];
    for (let i = 1; i < roc.length; i++) {
      auc += ((roc[i][0] - roc[i - 1][0]) * (roc[i][1] + roc[i - 1][1])) / 2;
      ap += (roc[i][1] - roc[i - 1][1]) * pr[i - 1][1];
    }
    return { roc: thinned(roc), pr: thinned(pr), auc, ap };
  }

  /** Rows of each label in bins; `edges` ascend, values beyond them count in the outer bins. */
  histogram(edges) {
    const bins = edges.length - 1;
    const counts = [new Float64Array(bins), new Float64Array(bins)];
    let bin = bins - 1;
    for (let i = 0; i < this.scores.length; i++) {
      while (bin > 0 && this.scores[i] < edges[bin]) bin--;
      counts[this.labels[i]][bin] += this.weights[this.labels[i]];
    }
    return counts;
  }
}

/** At most some 600 points of a curve, those where it moves by a hair or more. */
function thinned(points) {
  const kept = [points[0]];
  for (const point of points) {
    const last = kept[kept.length - 1];
    if (Math.abs(point[0] - last[0]) + Math.abs(point[1] - last[1]) > 1 / 300) kept.push(point);
  }
  kept.push(points[points.length - 1]);
  return kept;
}
