// The backends side by side: the same decision as often as there are backends, and whether their
// losses agree.

import { short } from "./curve.js";
import { Picture } from "./plane.js";

export const LINES = {
  pure_python: { colour: "#0072b2", thickness: 5 },
  numpy_vectorized: { colour: "#009e73", thickness: 3 },
  cython_core: { colour: "#e69f00", thickness: 1.6 },
};

/** A figure for each backend below `parent`. */
export class Comparison {
  constructor(parent, verdict) {
    this.parent = parent;
    this.verdict = verdict;
    this.figures = {};
    this.painted = {};
  }

  show(backends) {
    this.figures = {};
    this.painted = {};
    this.verdict.textContent = "";
    this.parent.replaceChildren(
      ...backends.map((backend) => {
        const figure = document.createElement("figure");
        const canvas = document.createElement("canvas");
        const caption = document.createElement("figcaption");
        const [name, rate, rest] = ["strong", "b", "span"].map((tag) => document.createElement(tag));
        name.textContent = backend.replace("_", "_\u200b"); // where the line may break
        name.style.borderColor = LINES[backend].colour;
        rate.textContent = "–";
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", `What ${backend} has learnt`);
        caption.append(name, rate, rest);
        figure.append(canvas, caption);
        figure.dataset.backend = backend;
        this.figures[backend] = { picture: new Picture(canvas), rate, rest };
        return figure;
      }),
    );
  }

  draw(backend, frame, points, theme) {
    const figure = this.figures[backend];
    if (!figure) return;
    figure.picture.draw(frame, points, theme);
    figure.rate.textContent = frame.running ? `${Math.round(frame.rate).toLocaleString("en")} steps/s` : "paused";
    const accuracy = frame.accuracy === null ? "–" : `${(100 * frame.accuracy).toFixed(1)}\u00a0%`;
    figure.rest.textContent = `step ${frame.step.toLocaleString("en")}, ${accuracy} right`;
    this.painted[backend] = (this.painted[backend] ?? 0) + 1;
  }

  /** How far the losses are apart over the steps that all have taken. */
  judge(frames) {
    const all = Object.values(frames);
    if (all.length < 2) return;
    const [first, ...others] = all;
    const found = others.map((other) => difference(first, other));
    const steps = Math.min(...found.map((f) => f.steps));
    if (!(steps > 0)) return;
    const lines = found.map((f, i) => {
      const names = `${first.backend} and ${others[i].backend}`;
      return f.largest === 0
        ? `${names}: the same losses to the last bit`
        : `${names}: losses at most ${short(f.largest)} apart`;
    });
    this.verdict.textContent = `Over the ${steps.toLocaleString("en")} steps that all have taken. ${lines.join(". ")}.`;
  }
}

function difference(one, other) {
  const width = Math.max(one.width, other.width);
  const [a, b] = [coarser(one, width), coarser(other, width)];
  const n = Math.min(a.length, b.length);
  let largest = 0;
  for (let i = 0; i < n; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return { largest, steps: n * width };
}

/** The curve with means over `width` steps, made pair by pair as the trainer makes them. */
function coarser({ curve, width: from }, width) {
  let means = curve;
  for (let w = from; w < width; w *= 2) {
    const next = new Float64Array(means.length >> 1);
    for (let i = 0; i < next.length; i++) next[i] = (means[2 * i] + means[2 * i + 1]) / 2;
    means = next;
  }
  return means;
}
