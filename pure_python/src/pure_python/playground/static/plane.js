// The plane: what the network decides, and the points that it learns from.

import { CLASSES } from "./colours.js";
import { HeatMap, borders } from "./heatmap.js";

export const EXTENT = 1.5;
const REACH = 11; // pixels around a point in which it is meant

/** A canvas as large as it is shown, on a screen of any density. The context is in CSS pixels. */
export function fitted(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const density = Math.min(2, globalThis.devicePixelRatio || 1);
  const [w, h] = [Math.round(width * density), Math.round(height * density)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  return { context, width, height };
}

/** The picture of a frame with its points; `points` are [x, y, class]. */
export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.map = new HeatMap();
  }

  /** `single`: show this side × side grid of one neuron instead of the decision. */
  draw(frame, points, theme, { selected = -1, single = null } = {}) {
    const { context, width } = fitted(this.canvas);
    if (!width) return;
    context.fillStyle = `rgb(${theme.paper})`;
    context.fillRect(0, 0, width, width);
    if (single) {
      this.map.paint(single.grid, single.side, 1, theme);
      this.blit(context, width);
    } else if (frame) {
      const { scores, side, sizes } = frame;
      this.map.paint(scores, side, sizes.at(-1), theme);
      this.blit(context, width);
      context.strokeStyle = theme.ink;
      context.lineWidth = sizes.at(-1) === 1 ? 1.8 : 1.2;
      context.lineCap = "round";
      context.stroke(borders(this.map.resampled, sizes.at(-1), width));
    }
    this.drawPoints(context, width, points, theme, selected);
  }

  blit(context, width) {
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.map.canvas, 0, 0, width, width);
  }

  drawPoints(context, width, points, theme, selected) {
    const size = Math.max(2.6, Math.min(4.6, width / 90)) * (points.length > 500 ? 0.8 : 1);
    context.lineWidth = 1;
    points.forEach(([x, y, k], i) => {
      const px = ((x + EXTENT) / (2 * EXTENT)) * width;
      const py = ((EXTENT - y) / (2 * EXTENT)) * width;
      context.fillStyle = CLASSES[k];
      context.strokeStyle = "#fff";
      context.beginPath();
      marker(context, px, py, size, k);
      context.fill();
      context.stroke();
      if (i === selected) {
        context.strokeStyle = theme.ink;
        context.lineWidth = 2;
        context.beginPath();
        context.arc(px, py, size + 4, 0, 7);
        context.stroke();
        context.lineWidth = 1;
      }
    });
  }
}

/** A shape for each class, so that colour is not all that tells them apart. */
export function marker(context, x, y, size, k) {
  const polygon = (...corners) => {
    corners.forEach(([dx, dy], i) =>
      i ? context.lineTo(x + dx * size, y + dy * size) : context.moveTo(x + dx * size, y + dy * size),
    );
    context.closePath();
  };
  if (k === 0) context.arc(x, y, size, 0, 7);
  else if (k === 1) polygon([0, -1.25], [1.2, 0.9], [-1.2, 0.9]);
  else if (k === 2) polygon([-0.95, -0.95], [0.95, -0.95], [0.95, 0.95], [-0.95, 0.95]);
  else if (k === 3) polygon([0, -1.35], [1.35, 0], [0, 1.35], [-1.35, 0]);
  else if (k === 4) polygon([0, 1.25], [1.2, -0.9], [-1.2, -0.9]);
  else polygon([-1.3, -0.5], [-0.5, -0.5], [-0.5, -1.3], [0.5, -1.3], [0.5, -0.5], [1.3, -0.5], [1.3, 0.5], [0.5, 0.5], [0.5, 1.3], [-0.5, 1.3], [-0.5, 0.5], [-1.3, 0.5]);
}

/** What pointer and keyboard do to the points. `say` sends a message, `show` redraws. */
export class PointEditor {
  constructor(canvas, view, say, show) {
    Object.assign(this, { canvas, view, say, show, tool: "add", brush: 1, selected: -1 });
    this.drag = null;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", () => (this.drag = null));
    canvas.addEventListener("dblclick", (event) => this.explore(this.nearest(event)));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const clipped = (x) => Math.max(-EXTENT, Math.min(EXTENT, x));
    return [
      clipped(((event.clientX - box.left) / box.width) * 2 * EXTENT - EXTENT),
      clipped(EXTENT - ((event.clientY - box.top) / box.height) * 2 * EXTENT),
    ];
  }

  /** The index of the point under the pointer, -1 if there is none. */
  nearest(event) {
    const [x, y] = this.place(event);
    const unit = this.canvas.clientWidth / (2 * EXTENT);
    let best = -1;
    let least = REACH;
    this.view.points.forEach(([px, py], i) => {
      const distance = Math.hypot(px - x, py - y) * unit;
      if (distance < least) [best, least] = [i, distance];
    });
    return best;
  }

  down(event) {
    if (event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    const index = this.nearest(event);
    this.drag = { index, from: [event.clientX, event.clientY], moved: false };
  }

  move(event) {
    const { drag } = this;
    if (!drag) {
      this.canvas.style.cursor = this.nearest(event) >= 0 ? "pointer" : "crosshair";
      return;
    }
    if (Math.hypot(event.clientX - drag.from[0], event.clientY - drag.from[1]) > 4) drag.moved = true;
    if (drag.moved && drag.index >= 0 && this.tool === "add") {
      this.select(drag.index);
      this.moveTo(drag.index, this.place(event));
    }
  }

  up(event) {
    const { drag } = this;
    this.drag = null;
    if (!drag || drag.moved) return;
    const { index } = drag;
    if (this.tool === "delete") {
      if (index >= 0) this.remove(index);
    } else if (this.tool === "recolour") {
      if (index >= 0) this.recolour(index, this.brush);
    } else if (index >= 0) this.select(index);
    else this.add(this.place(event));
  }

  key(event) {
    const { points } = this.view;
    const { selected } = this;
    const step = event.shiftKey ? 0.1 : 0.02;
    const arrows = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const digit = event.key.length === 1 ? "123456".indexOf(event.key) : -1;
    if (event.key === "n" && points.length) this.select((selected + 1) % points.length);
    else if (selected < 0) return;
    else if (arrows[event.key]) {
      const [x, y] = points[selected];
      const clipped = (z) => Math.max(-EXTENT, Math.min(EXTENT, z));
      this.moveTo(selected, [clipped(x + arrows[event.key][0]), clipped(y + arrows[event.key][1])]);
    } else if (digit >= 0) this.recolour(selected, digit);
    else if (event.key === "Delete" || event.key === "Backspace") this.remove(selected);
    else if (event.key === "Enter") this.explore(selected);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The points are others now: the one that was selected or is being dragged is gone. */
  letGo() {
    this.selected = -1;
    this.drag = null;
  }

  select(index) {
    this.selected = index;
    this.show();
  }

  add([x, y]) {
    if (this.view.points.length >= 1000) return;
    this.view.points.push([x, y, this.brush]);
    this.edited({ type: "add", x, y, class: this.brush });
  }

  moveTo(index, [x, y]) {
    this.view.points[index] = [x, y, this.view.points[index][2]];
    this.edited({ type: "move", index, x, y });
  }

  recolour(index, k) {
    this.view.points[index][2] = k;
    this.edited({ type: "recolour", index, class: k });
  }

  remove(index) {
    this.view.points.splice(index, 1);
    this.selected = -1;
    this.edited({ type: "delete", index });
  }

  explore(index) {
    if (index < 0 || this.tool === "delete") return;
    this.select(index);
    this.say({ type: "explore", data: this.view.data, index });
  }

  edited(message) {
    this.say({ ...message, data: this.view.data });
    this.show();
  }
}
