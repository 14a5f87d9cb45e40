// The network, a heat map a neuron and a line a weight.

import { fitted } from "./plane.js";

/** Draws a frame's neurons and weights, and knows which neuron is under the pointer. */
export class NetworkDrawing {
  constructor(canvas, onPoint) {
    this.canvas = canvas;
    this.tile = document.createElement("canvas");
    this.nodes = [];
    this.pointed = -1;
    const point = (index) => {
      if (index === this.pointed) return;
      this.pointed = index;
      onPoint();
    };
    canvas.addEventListener("pointermove", (event) => point(this.at(event)));
    canvas.addEventListener("pointerdown", (event) => point(this.at(event)));
    canvas.addEventListener("pointerleave", () => point(-1));
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    return this.nodes.findIndex(
      (n) => n.map >= 0 && Math.abs(x - n.x) <= n.size / 2 + 2 && Math.abs(y - n.y) <= n.size / 2 + 2,
    );
  }

  /** The heat map of the neuron under the pointer, as a grid; null if there is none. */
  pointedGrid(frame) {
    const node = this.nodes[this.pointed];
    if (!node || !frame) return null;
    const n = frame.small ** 2;
    if ((node.map + 1) * n > frame.neurons.length) return null;
    const whole = frame.neurons.subarray(node.map * n, (node.map + 1) * n);
    return { grid: Float32Array.from(whole, (x) => x / 40), side: frame.small, name: node.name };
  }

  draw(frame, theme) {
    const { context, width, height } = fitted(this.canvas);
    context.clearRect(0, 0, width, height);
    if (!frame || !width) return;
    this.place(frame.sizes, width, height);
    this.drawWeights(context, frame, theme);
    this.drawNeurons(context, frame, theme);
  }

  place(sizes, width, height) {
    const key = `${sizes} ${width} ${height}`;
    if (key === this.key) return;
    this.key = key;
    const tallest = Math.max(...sizes);
    const pitch = Math.min(46, (height - 8) / tallest);
    const column = width / sizes.length;
    const size = Math.max(10, Math.min(pitch - 4, 36, column - 14));
    let map = 0;
    this.nodes = sizes.flatMap((n, layer) =>
      Array.from({ length: n }, (_, i) => {
        const last = layer === sizes.length - 1;
        const hidden = layer > 0 && !last;
        return {
          x: column * (layer + 0.5),
          y: height / 2 + (i - (n - 1) / 2) * pitch,
          size,
          layer,
          index: i,
          map: hidden ? map++ : -1,
          name: hidden ? `layer ${layer}, neuron ${i + 1}` : "",
        };
      }),
    );
  }

  drawWeights(context, frame, theme) {
    const { parameters, sizes } = frame;
    let largest = 1e-9;
    this.eachWeight(sizes, (at) => (largest = Math.max(largest, Math.abs(parameters[at]))));
    const near = this.nodes[this.pointed];
    this.eachWeight(sizes, (at, from, to) => {
      const w = parameters[at];
      const share = Math.abs(w) / largest;
      if (!(share > 0.015)) return;
      const dim = near && near !== from && near !== to;
      context.globalAlpha = (dim ? 0.12 : 1) * (0.25 + 0.65 * share);
      context.strokeStyle = w < 0 ? theme.negative : theme.positive;
      context.lineWidth = 0.4 + 3.4 * share;
      context.setLineDash(w < 0 ? [5, 3] : []);
      const [x0, x1] = [from.x + from.size / 2, to.x - to.size / 2];
      const bend = (x1 - x0) * 0.45;
      context.beginPath();
      context.moveTo(x0, from.y);
      context.bezierCurveTo(x0 + bend, from.y, x1 - bend, to.y, x1, to.y);
      context.stroke();
    });
    context.globalAlpha = 1;
    context.setLineDash([]);
  }

  /** Calls `visit(place among the parameters, from, to)` for every weight. */
  eachWeight(sizes, visit) {
    let at = 0;
    let first = 0;
    for (let layer = 1; layer < sizes.length; layer++) {
      const [n, m] = [sizes[layer - 1], sizes[layer]];
      for (let j = 0; j < m; j++) {
        for (let i = 0; i < n; i++) visit(at++, this.nodes[first + i], this.nodes[first + n + j]);
      }
      at += m; // the biases
      first += n;
    }
  }

  drawNeurons(context, frame, theme) {
    const { small, neurons, sizes } = frame;
    const n = small * small;
    if (this.tile.width !== small) {
      this.tile.width = this.tile.height = small;
      this.tileContext = this.tile.getContext("2d");
      this.image = this.tileContext.createImageData(small, small);
    }
    const { data } = this.image;
    context.imageSmoothingEnabled = true;
    this.nodes.forEach((node, at) => {
      const { x, y, size } = node;
      const last = node.layer === sizes.length - 1;
      const response = this.responseOf(node, frame, last);
      for (let i = 0; i < n; i++) {
        const [r, g, b] = theme.ramp[127 + response(i)];
        data[4 * i] = r;
        data[4 * i + 1] = g;
        data[4 * i + 2] = b;
        data[4 * i + 3] = 255;
      }
      this.tileContext.putImageData(this.image, 0, 0);
      const [left, top] = [x - size / 2, y - size / 2];
      context.save();
      context.beginPath();
      context.roundRect(left, top, size, size, 4);
      context.clip();
      context.drawImage(this.tile, left, top, size, size);
      context.restore();
      context.strokeStyle = at === this.pointed ? theme.ink : theme.pale;
      context.lineWidth = at === this.pointed ? 2.2 : 1;
      context.beginPath();
      context.roundRect(left, top, size, size, 4);
      context.stroke();
    });
  }

  /** -127 to 127 at each place of the small grid. */
  responseOf(node, frame, last) {
    const { small, neurons, side, scores } = frame;
    if (node.layer === 0) {
      const ramp = (i) => Math.round((i / (small - 1) - 0.5) * 254);
      return node.index === 0 ? (i) => ramp(i % small) : (i) => -ramp(Math.floor(i / small));
    }
    if (!last) return (i) => neurons[node.map * small * small + i];
    const stride = Math.round(side / small) || 1;
    const base = node.index * side * side;
    return (i) => {
      const row = Math.min(side - 1, Math.floor(i / small) * stride);
      const score = scores[base + row * side + Math.min(side - 1, (i % small) * stride)] * 0.6;
      return Math.round((127 * score) / (1 + Math.abs(score))) || 0;
    };
  }
}
