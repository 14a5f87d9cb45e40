// The controls of the settings: each sends what it was set to, and shows what the server says.

const OPTIONS = {
  lr: [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3],
  weight_decay: [0, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1],
  batch_size: [1, 4, 8, 16, 32, 64, 128, 256, 1000],
  init: ["xavier", "he", "uniform"],
};
const NAMES = {
  weight_decay: { 0: "none" },
  batch_size: { 1000: "all points" },
};
const NUMBERS = ["lr", "weight_decay", "batch_size", "speed"];
const SELECTS = ["lr", "batch_size", "optimizer", "weight_decay", "loss", "activation", "init", "speed", "backend"];
const SLIDERS = ["samples", "noise", "classes"];
const DATASETS = ["moons", "circles", "xor", "spiral", "own"];
const MOST_LAYERS = 5;
const MOST_NEURONS = 16;

const $ = (id) => document.getElementById(id);

export class Controls {
  /** `change` is called with an object of settings. */
  constructor(change) {
    this.change = change;
    this.settings = null;
    this.offer(OPTIONS);
    for (const name of SELECTS) {
      $(name).addEventListener("change", ({ target }) =>
        change({ [name]: NUMBERS.includes(name) ? Number(target.value) : target.value }),
      );
    }
    for (const name of SLIDERS) {
      $(name).addEventListener("input", ({ target }) => {
        $(`${name}-value`).textContent = target.value;
        change({ [name]: Number(target.value) });
      });
    }
    $("seed").addEventListener("change", ({ target }) => {
      const seed = Math.round(Number(target.value));
      if (target.value !== "" && seed >= 0 && seed < 2 ** 32) change({ seed });
      else target.value = this.settings.seed;
    });
    $("datasets").replaceChildren(...DATASETS.map((name) => this.dataset(name)));
    $("fewer-layers").addEventListener("click", () => this.hidden(this.settings.hidden.slice(0, -1)));
    $("more-layers").addEventListener("click", () =>
      this.hidden([...this.settings.hidden, this.settings.hidden.at(-1) ?? 8]),
    );
  }

  dataset(name) {
    const button = document.createElement("button");
    button.dataset.dataset = name;
    button.setAttribute("role", "radio");
    const canvas = document.createElement("canvas");
    const label = document.createElement("span");
    label.textContent = name === "own" ? "blank" : name;
    button.title = name === "own" ? "An empty plane for points of your own" : "";
    button.append(canvas, label);
    button.addEventListener("click", () => this.change({ dataset: name }));
    return button;
  }

  /** Fill selects: `choices` has the values of each by its name. */
  offer(choices) {
    for (const [name, values] of Object.entries(choices)) {
      $(name).replaceChildren(...values.map((value) => option(value, NAMES[name]?.[value])));
    }
  }

  hidden(hidden) {
    this.change({ hidden });
  }

  /** What the server has. */
  show(settings) {
    this.settings = settings;
    for (const name of SELECTS) {
      const select = $(name);
      if (![...select.options].some((o) => o.value === String(settings[name]))) {
        select.append(option(settings[name]));
      }
      select.value = String(settings[name]);
    }
    for (const name of SLIDERS) {
      if (document.activeElement !== $(name) || !$(name).matches(":active")) $(name).value = settings[name];
      $(`${name}-value`).textContent = settings[name];
    }
    const own = settings.dataset === "own";
    for (const name of SLIDERS) $(name).disabled = own;
    if (!["circles", "spiral"].includes(settings.dataset)) $("classes").disabled = true;
    if (document.activeElement !== $("seed")) $("seed").value = settings.seed;
    for (const button of $("datasets").children) {
      button.setAttribute("aria-checked", String(button.dataset.dataset === settings.dataset));
    }
    $("layers-value").textContent = settings.hidden.length;
    $("fewer-layers").disabled = settings.hidden.length === 0;
    $("more-layers").disabled = settings.hidden.length === MOST_LAYERS;
    this.showNeurons(settings.hidden);
  }

  showNeurons(hidden) {
    const parent = $("columns-of-neurons");
    parent.style.gridTemplateColumns = `repeat(${hidden.length + 2}, 1fr)`;
    const text = (content) => Object.assign(document.createElement("span"), { textContent: content });
    const focused = document.activeElement?.dataset?.neurons;
    parent.replaceChildren(
      text("inputs"),
      ...hidden.map((n, layer) => {
        const box = document.createElement("div");
        box.className = "stepper";
        const button = (by, label, sign) => {
          const b = Object.assign(document.createElement("button"), { textContent: sign });
          b.setAttribute("aria-label", `One neuron ${label} in layer ${layer + 1}`);
          b.dataset.neurons = `${layer} ${by}`;
          b.disabled = n + by < 1 || n + by > MOST_NEURONS;
          b.addEventListener("click", () => this.hidden(hidden.with(layer, n + by)));
          return b;
        };
        box.append(button(-1, "fewer", "−"), Object.assign(document.createElement("output"), { textContent: n }), button(1, "more", "+"));
        return box;
      }),
      text("output"),
    );
    if (focused) parent.querySelector(`[data-neurons="${focused}"]`)?.focus();
  }
}

export function option(value, name) {
  const text = name ?? (typeof value === "number" ? value : String(value).replace("leaky_relu", "leaky ReLU"));
  return Object.assign(document.createElement("option"), { value: String(value), textContent: text });
}

/** Small pictures of the data sets; rough, since they only have to be told apart. */
export function drawThumbnails(theme, classes, marker) {
  for (const button of $("datasets").children) {
    const canvas = button.querySelector("canvas");
    [canvas.width, canvas.height] = [96, 72];
    const context = canvas.getContext("2d");
    context.fillStyle = `rgb(${theme.paper})`;
    context.fillRect(0, 0, 96, 72);
    for (const [x, y, k] of thumbnail(button.dataset.dataset)) {
      context.fillStyle = classes[k];
      context.beginPath();
      marker(context, 48 + 30 * x, 36 - 30 * y, 3.4, k);
      context.fill();
    }
  }
}

function thumbnail(name) {
  const range = (n) => Array.from({ length: n }, (_, i) => i / (n - 1));
  if (name === "moons") {
    return range(9).flatMap((t) => [
      [Math.cos(Math.PI * t) * 0.75 - 0.37, Math.sin(Math.PI * t) * 0.85 - 0.25, 0],
      [0.37 - Math.cos(Math.PI * t) * 0.75, 0.25 - Math.sin(Math.PI * t) * 0.85, 1],
    ]);
  }
  if (name === "circles") {
    return range(13).flatMap((t) => {
      const [c, s] = [Math.cos(2 * Math.PI * t), Math.sin(2 * Math.PI * t)];
      return [[c * 0.95, s * 0.95, 1], [c * 0.4, s * 0.4, 0]];
    });
  }
  if (name === "xor") {
    return [-1, 1].flatMap((a) =>
      [-1, 1].flatMap((b) =>
        [[0.3, 0.3], [0.7, 0.35], [0.4, 0.75], [0.8, 0.8]].map(([x, y]) => [a * x, b * y, a * b > 0 ? 0 : 1]),
      ),
    );
  }
  if (name === "spiral") {
    return range(12).flatMap((t) =>
      [0, 1].map((k) => {
        const angle = Math.PI * k + 1.5 * Math.PI * t;
        return [Math.cos(angle) * (0.1 + 0.95 * t), Math.sin(angle) * (0.1 + 0.95 * t), k];
      }),
    );
  }
  return [[0, 0, 1]];
}
