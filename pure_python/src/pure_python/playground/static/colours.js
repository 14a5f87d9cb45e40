// Colours that people with any colour vision can tell apart (Okabe and Ito), and what is made of
// them. Positive is blue and negative orange everywhere: weights, responses, and with two classes
// the score.

export const CLASSES = ["#e69f00", "#0072b2", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"];
export const POSITIVE = "#0072b2";
export const NEGATIVE = "#e69f00";

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
export const CLASS_RGB = CLASSES.map(rgb);

const mixed = (from, to, share) => from.map((c, i) => Math.round(c + (to[i] - c) * share));

/** The colours of the page now, read from the style sheet. */
export class Theme {
  constructor() {
    const style = getComputedStyle(document.documentElement);
    const token = (name) => style.getPropertyValue(name).trim();
    this.ink = token("--ink");
    this.pale = token("--pale");
    this.line = token("--line");
    this.surface = token("--surface");
    this.paper = rgb(token("--paper"));
    this.dark = this.paper[0] < 128;
    this.strength = this.dark ? 0.62 : 0.5;
    const positive = this.dark ? [40, 150, 220] : rgb(POSITIVE);
    // 255 entries for -1 to 1.
    this.ramp = Array.from({ length: 255 }, (_, i) => {
      const x = (i - 127) / 127;
      return mixed(this.paper, x < 0 ? rgb(NEGATIVE) : positive, Math.abs(x));
    });
    this.positive = this.dark ? "#3d9fe0" : POSITIVE;
    this.negative = NEGATIVE;
    this.tints = CLASS_RGB.map((c) =>
      Array.from({ length: 64 }, (_, i) => mixed(this.paper, c, this.strength * (i / 63))),
    );
  }
}
