// Numbers on a square grid as pixels and border lines.

const PIXELS = 177;

/** A canvas of PIXELS × PIXELS in which the regions of the classes are painted. */
export class HeatMap {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.canvas.height = PIXELS;
    this.context = this.canvas.getContext("2d");
    this.image = this.context.createImageData(PIXELS, PIXELS);
    this.words = new Uint32Array(this.image.data.buffer);
    this.resampled = [];
  }

  /** `scores`: one side × side grid after the other, from the top row to the bottom. */
  paint(scores, side, outputs, theme) {
    const grids = Array.from({ length: outputs }, (_, k) =>
      this.resample(scores.subarray(k * side * side, (k + 1) * side * side), side, k),
    );
    if (outputs === 1) this.paintSign(grids[0], theme);
    else this.paintLargest(grids, theme);
    this.context.putImageData(this.image, 0, 0);
  }

  paintSign(grid, theme) {
    const { words } = this;
    const table = signTable(theme);
    for (let i = 0; i < words.length; i++) {
      // Squashed, so that far scores do not take all the colour from those near the border.
      const x = grid[i] * 0.6;
      const squashed = x / (1 + Math.abs(x));
      words[i] = table[Number.isNaN(squashed) ? 127 : Math.round(127 + 127 * squashed)];
    }
  }

  paintLargest(grids, theme) {
    const { words } = this;
    const tables = classTables(theme);
    for (let i = 0; i < words.length; i++) {
      let best = 0;
      let second = -Infinity;
      for (let k = 1; k < grids.length; k++) {
        if (grids[k][i] > grids[best][i]) best = k;
      }
      for (let k = 0; k < grids.length; k++) {
        if (k !== best && grids[k][i] > second) second = grids[k][i];
      }
      const lead = grids[best][i] - second;
      words[i] = tables[best % tables.length][Math.round(63 * (0.3 + 0.7 * (lead / (1 + lead) || 0)))];
    }
  }

  /** The grid at every pixel, straight lines between its numbers. */
  resample(grid, side, k) {
    const out = (this.resampled[k] ??= new Float32Array(PIXELS * PIXELS));
    const scale = (side - 1) / (PIXELS - 1);
    for (let row = 0, at = 0; row < PIXELS; row++) {
      const y = row * scale;
      const y0 = Math.min(side - 2, y | 0);
      const fy = y - y0;
      const above = y0 * side;
      for (let column = 0; column < PIXELS; column++, at++) {
        const x = column * scale;
        const x0 = Math.min(side - 2, x | 0);
        const fx = x - x0;
        const a = grid[above + x0];
        const b = grid[above + x0 + 1];
        const c = grid[above + side + x0];
        const d = grid[above + side + x0 + 1];
        const top = a + (b - a) * fx;
        out[at] = top + (c + (d - c) * fx - top) * fy;
      }
    }
    return out;
  }
}

const packed = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;

function signTable(theme) {
  return (theme.signTable ??= theme.ramp.map((_, i) => {
    const x = (i - 127) / 127;
    const at = Math.round(127 + 127 * x * (theme.strength + 0.12));
    return packed(theme.ramp[at]);
  }));
}

const classTables = (theme) => (theme.classTables ??= theme.tints.map((row) => row.map(packed)));

// Borders are traced on every second pixel.
const STRIDE = 2;
const SIDE = (PIXELS - 1) / STRIDE + 1;

/** Adds to `path` the lines on which a grid is 0; `size` is the width of the whole grid. */
function traceZero(path, value, size) {
  const unit = size / (SIDE - 1);
  for (let row = 0; row + 1 < SIDE; row++) {
    for (let column = 0; column + 1 < SIDE; column++) {
      const i = row * SIDE + column;
      const corners = [value[i], value[i + 1], value[i + SIDE + 1], value[i + SIDE]];
      const above = (corners[0] > 0) + (corners[1] > 0) + (corners[2] > 0) + (corners[3] > 0);
      if (above === 0 || above === 4) continue;
      const crossings = [];
      for (let edge = 0; edge < 4; edge++) {
        const next = (edge + 1) % 4;
        if (corners[edge] > 0 === corners[next] > 0) continue;
        const share = corners[edge] / (corners[edge] - corners[next]);
        const dx = [share, 1, 1 - share, 0][edge];
        const dy = [0, share, 1, 1 - share][edge];
        crossings.push([(column + dx) * unit, (row + dy) * unit]);
      }
      for (let j = 0; j + 1 < crossings.length; j += 2) {
        path.moveTo(...crossings[j]);
        path.lineTo(...crossings[j + 1]);
      }
    }
  }
}

/** The borders between classes, of grids that `HeatMap.resample` has made. */
export function borders(grids, outputs, size) {
  const path = new Path2D();
  const value = new Float32Array(SIDE * SIDE);
  for (let k = 0; k < outputs; k++) {
    for (let row = 0, i = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++, i++) {
        const at = STRIDE * (row * PIXELS + column);
        let other = outputs === 1 ? 0 : -Infinity;
        for (let j = 0; j < outputs; j++) if (j !== k) other = Math.max(other, grids[j][at]);
        value[i] = grids[k][at] - other;
      }
    }
    traceZero(path, value, size);
  }
  return path;
}
