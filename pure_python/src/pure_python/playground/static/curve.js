// The loss over the steps, a line a backend.

import { fitted } from "./plane.js";

const LEFT = 46;
const BOTTOM = 20;

/** `lines`: [{ colour, dash, width, losses }], losses[i] the mean of steps i·width to (i+1)·width. */
export function drawCurves(canvas, lines, theme) {
  const { context, width, height } = fitted(canvas);
  context.clearRect(0, 0, width, height);
  const [right, top] = [width - 8, 8];
  const floor = height - BOTTOM;
  let [low, high, steps] = [Infinity, -Infinity, 1];
  for (const { losses, width: w } of lines) {
    for (const loss of losses) {
      if (loss < low) low = loss;
      if (loss > high) high = loss;
    }
    steps = Math.max(steps, losses.length * w);
  }
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = theme.pale;
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  const none = !(high > -Infinity);
  if (none) [low, high] = [0, 1];
  const logarithmic = low > 0 && high > 30 * low;
  if (!logarithmic) low = 0;
  if (!(high > low)) high = low + 1;
  const scale = logarithmic ? (x) => Math.log(x) : (x) => x;
  const [a, b] = [scale(logarithmic ? low * 0.9 : low), scale(high * 1.05)];
  const y = (loss) => floor - ((scale(loss) - a) / (b - a)) * (floor - top);
  const x = (step) => LEFT + (step / steps) * (right - LEFT);

  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const tick of logarithmic ? powers(low, high) : evenly(high, 3)) {
    const at = y(tick);
    if (at < top || at > floor + 1) continue;
    context.beginPath();
    context.moveTo(LEFT, at);
    context.lineTo(right, at);
    context.stroke();
    context.fillText(short(tick), LEFT - 6, at);
  }
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  for (const tick of evenly(steps, 4)) {
    if (tick !== 0 && x(tick) < right - 48) context.fillText(short(tick), x(tick), height - 5);
  }
  context.textAlign = "right";
  context.fillText("steps", right, height - 5);
  if (none) return;

  context.lineJoin = "round";
  for (const { losses, width: w, colour, dash, thickness } of lines) {
    context.strokeStyle = colour;
    context.lineWidth = thickness ?? 1.8;
    context.setLineDash(dash ?? []);
    context.beginPath();
    losses.forEach((loss, i) => {
      const px = x((i + 0.5) * w);
      if (i) context.lineTo(px, y(loss));
      else context.moveTo(px, y(loss));
    });
    context.stroke();
  }
  context.setLineDash([]);
}

function evenly(most, count) {
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= rough);
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
}

function powers(low, high) {
  const ticks = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.log10(high); k++) ticks.push(10 ** k);
  const stride = Math.ceil(ticks.length / 4);
  return ticks.filter((_, i) => i % stride === 0);
}

/** A number in few characters: 0.02, 1.5k, 3M, 1e-7. */
export function short(number) {
  const size = Math.abs(number);
  if (number === 0) return "0";
  if (size >= 1e6) return `${+(number / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${+(number / 1e3).toPrecision(3)}k`;
  if (size >= 1e-3) return `${+number.toPrecision(3)}`;
  return number.toExponential(0).replace("e-0", "e-");
}
