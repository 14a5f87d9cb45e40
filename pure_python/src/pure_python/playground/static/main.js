// The page: what the server says becomes a view, what a person does becomes messages.

import { CLASSES, Theme } from "./colours.js";
import { Comparison, LINES } from "./comparison.js";
import { Controls, drawThumbnails, option } from "./controls.js";
import { drawCurves } from "./curve.js";
import { decoded } from "./frames.js";
import { NetworkDrawing } from "./network.js";
import { Picture, PointEditor, marker } from "./plane.js";

const $ = (id) => document.getElementById(id);
const MOST_CSV_BYTES = 1_000_000;

// What is shown. Tests read it too.
const view = {
  state: null,
  installed: [],
  session: null,
  points: [],
  data: -1,
  frames: {}, // the newest of each backend
  painted: 0, // frames that were drawn
  errors: [], // what the server has refused
};
globalThis.playground = view;

const socket = new WebSocket(new URL("socket", location.href.replace(/^http/, "ws")));
socket.binaryType = "arraybuffer";

function say(message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

// Settings of one kind are sent once an animation frame, however fast a slider moves.
let changes = {};
function change(some) {
  if (!Object.keys(changes).length) requestAnimationFrame(sendChanges);
  Object.assign(changes, some);
}
function sendChanges() {
  say({ type: "settings", changes });
  changes = {};
}

Object.assign(view, { socket, say, change });

// Drawing -----------------------------------------------------------------------------------------

let theme = new Theme();
const controls = new Controls(change);
const picture = new Picture($("plane"));
const network = new NetworkDrawing($("network-canvas"), () => (stale = true));
const editor = new PointEditor($("plane"), view, say, () => {
  stale = true;
  showPointLine();
});
const comparison = new Comparison($("planes"), $("verdict"));
const fresh = new Set(); // backends with a frame that was not drawn yet
let stale = true; // something else than a frame has changed
let drawn = []; // when frames of the chosen backend were drawn, of the last second

function tick(now) {
  requestAnimationFrame(tick);
  if (!fresh.size && !stale) {
    showRates(now);
    return;
  }
  const chosen = view.state?.settings.backend;
  const frame = view.frames[chosen];
  if (stale || fresh.has(chosen)) {
    draw(frame);
    if (fresh.has(chosen)) {
      view.painted += 1;
      drawn.push(now);
    }
  }
  if (view.state?.comparing) {
    for (const backend of stale ? Object.keys(view.frames) : fresh) {
      comparison.draw(backend, view.frames[backend], view.points, theme);
    }
    comparison.judge(view.frames);
  }
  for (const backend of fresh) say({ type: "shown", backend, frame: view.frames[backend].frame });
  fresh.clear();
  stale = false;
  showRates(now);
}

function draw(frame) {
  const single = network.pointedGrid(frame);
  $("plane-title").textContent = single ? `Response of ${single.name}` : "Decision";
  picture.draw(frame, view.points, theme, { selected: editor.selected, single });
  network.draw(frame, theme);
  const lines = view.state?.comparing
    ? Object.values(view.frames).map((f) => ({ ...LINES[f.backend], losses: f.curve, width: f.width }))
    : frame
      ? [{ colour: theme.positive, losses: frame.curve, width: frame.width }]
      : [];
  drawCurves($("curve"), lines, theme);
  if (frame) showReadouts(frame);
}

function showReadouts(frame) {
  $("read-step").textContent = frame.step.toLocaleString("en");
  $("read-loss").textContent = frame.loss === null ? "–" : frame.loss < 1e-3 ? frame.loss.toExponential(1) : frame.loss.toFixed(4);
  $("read-accuracy").textContent = frame.accuracy === null ? "–" : `${(100 * frame.accuracy).toFixed(1)} %`;
}

function showRates(now) {
  while (drawn.length && now - drawn[0] > 1000) drawn.shift();
  const running = view.state?.running;
  const frame = view.frames[view.state?.settings.backend];
  const text = running && frame ? Math.round(frame.rate).toLocaleString("en") : "–";
  if ($("read-rate").textContent !== text) $("read-rate").textContent = text;
  const rate = running ? String(drawn.length) : "–";
  if ($("read-frames").textContent !== rate) $("read-frames").textContent = rate;
}

function showPointLine() {
  const point = view.points[editor.selected];
  const line = $("point-line");
  if (!point) {
    const places = {
      add: "Click to add a point, drag to move one, double-click one to see its graph.",
      recolour: "Click a point to give it the chosen class.",
      delete: "Click a point to delete it.",
    };
    line.textContent = places[editor.tool];
    return;
  }
  const [x, y, k] = point;
  const [ax, ay] = view.axes ?? ["x", "y"];
  const inUnits = (z, [low, high]) => +(low + ((z + 1.5) / 3) * (high - low)).toPrecision(3);
  const [rx, ry] = view.ranges;
  const text = `Point ${editor.selected + 1}: ${ax} ${inUnits(x, rx)}, ${ay} ${inUnits(y, ry)}, ${view.classes[k] ?? `class ${k}`} `;
  const button = (label, act) => {
    const b = Object.assign(document.createElement("button"), { textContent: label, className: "small" });
    b.addEventListener("click", act);
    return b;
  };
  line.replaceChildren(
    text,
    button("Show its graph", () => editor.explore(editor.selected)),
    button("Delete", () => editor.remove(editor.selected)),
  );
}

function showBrushes() {
  const used = view.points.reduce((most, [, , k]) => Math.max(most, k), 1);
  const count = Math.min(CLASSES.length, used + 2);
  if ($("brushes").children.length === count) return;
  editor.brush = Math.min(editor.brush, count - 1);
  $("brushes").replaceChildren(
    ...Array.from({ length: count }, (_, k) => {
      const button = document.createElement("button");
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", String(k === editor.brush));
      const name = view.classes?.[k] ?? `class ${k}`;
      button.setAttribute("aria-label", name);
      button.title = k > used ? `A new class, ${name}` : name;
      const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 40 });
      const context = canvas.getContext("2d");
      context.fillStyle = CLASSES[k];
      context.globalAlpha = k > used ? 0.45 : 1;
      context.beginPath();
      marker(context, 20, 20, 11, k);
      context.fill();
      button.append(canvas);
      button.addEventListener("click", () => {
        editor.brush = k;
        for (const [i, b] of [...$("brushes").children].entries()) b.setAttribute("aria-checked", String(i === k));
      });
      return button;
    }),
  );
}

// From the server ---------------------------------------------------------------------------------

socket.addEventListener("message", ({ data }) => {
  if (typeof data !== "string") {
    const frame = decoded(data);
    view.frames[frame.backend] = frame;
    fresh.add(frame.backend);
    return;
  }
  const message = JSON.parse(data);
  handlers[message.type](message);
});

const handlers = {
  hello({ session, choices }) {
    Object.assign(view, { session, installed: choices.backend });
    controls.offer(choices);
    $("export-weights").href = `${session}/weights.safetensors`;
    $("export-script").href = `${session}/playground.py`;
    $("compare").disabled = view.installed.length < 2;
  },

  state(state) {
    const before = view.state;
    view.state = state;
    controls.show(state.settings);
    $("play").setAttribute("aria-pressed", String(state.running));
    $("compare").setAttribute("aria-pressed", String(state.comparing));
    $("comparison").hidden = !state.comparing;
    document.body.classList.toggle("comparing", state.comparing);
    $("command").textContent = `python -m ${state.settings.backend} playground`;
    const kept = state.comparing ? view.installed : [state.settings.backend];
    for (const backend of Object.keys(view.frames)) {
      if (kept.includes(backend)) continue;
      say({ type: "shown", backend, frame: view.frames[backend].frame });
      delete view.frames[backend];
      fresh.delete(backend);
    }
    if (state.comparing && !before?.comparing) comparison.show(view.installed);
    if (before && before.running !== state.running) drawn = [];
    showBrushes();
    stale = true;
  },

  points({ data, points, classes, axes, ranges, columns }) {
    Object.assign(view, { data, points, classes, axes, ranges });
    editor.letGo();
    showColumns(columns, axes);
    showPointLine();
    showBrushes();
    stale = true;
  },

  error({ message }) {
    view.errors.push(message);
    $("message").hidden = false;
    $("message").firstElementChild.textContent = message;
    $("graph-frame").classList.remove("waiting");
  },

  explored({ address }) {
    const frame = document.createElement("iframe");
    frame.src = address;
    frame.title = "The graph, step by step";
    frame.setAttribute("sandbox", "allow-scripts allow-downloads");
    const [x, y] = view.points[editor.selected] ?? [0, 0];
    $("graph-title").textContent = `The loss of the point (${x.toFixed(2)}, ${y.toFixed(2)})`;
    $("graph-frame").replaceChildren(frame);
    if (!$("graph").open) $("graph").showModal();
  },
};

function showColumns(columns, axes) {
  $("columns").hidden = !columns;
  if (!columns) return;
  const legend = $("columns").querySelector("legend");
  const used = view.points.length < columns.rows ? `${view.points.length} of ${columns.rows} rows` : `${columns.rows} rows`;
  legend.textContent = `${columns.name}: ${used}`;
  $("column-x").replaceChildren(...columns.numeric.map((name) => option(name, name)));
  $("column-y").replaceChildren(...columns.numeric.map((name) => option(name, name)));
  $("column-target").replaceChildren(...columns.all.map((name) => option(name, name)));
  [$("column-x").value, $("column-y").value, $("column-target").value] = [...axes, columns.target];
}

socket.addEventListener("close", ({ code }) => {
  view.closed = code;
  $("ended").hidden = false;
});

// From the person ---------------------------------------------------------------------------------

$("play").addEventListener("click", () => say({ type: "run", running: !view.state?.running }));
$("step").addEventListener("click", () => say({ type: "step" }));
$("reset").addEventListener("click", () => say({ type: "reset" }));
$("compare").addEventListener("click", () => say({ type: "compare", on: !view.state?.comparing }));
$("dismiss").addEventListener("click", () => ($("message").hidden = true));

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("graph").open) return;
  if (event.target.closest("input, select, textarea, summary")) return;
  const button = { " ": "play", s: "step", r: "reset" }[event.key];
  if (!button || (event.key === " " && event.target.closest("button, a"))) return;
  event.preventDefault();
  $(button).click();
});

for (const button of document.querySelectorAll("[data-tool]")) {
  button.addEventListener("click", () => {
    editor.tool = button.dataset.tool;
    editor.selected = -1;
    for (const b of document.querySelectorAll("[data-tool]")) b.setAttribute("aria-checked", String(b === button));
    showPointLine();
    stale = true;
  });
}

$("csv").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  target.value = "";
  if (!file) return;
  if (file.size > MOST_CSV_BYTES) {
    handlers.error({ message: `${file.name} has ${file.size} bytes; at most ${MOST_CSV_BYTES} can be read` });
    return;
  }
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  say({ type: "csv", name: file.name, content: btoa(text) });
});
for (const id of ["column-x", "column-y", "column-target"]) {
  $(id).addEventListener("change", () =>
    say({ type: "columns", x: $("column-x").value, y: $("column-y").value, target: $("column-target").value }),
  );
}

$("close-graph").addEventListener("click", () => $("graph").close());
$("graph").addEventListener("close", () => $("graph-frame").replaceChildren());

$("export-picture").addEventListener("click", () => {
  const { settings } = view.state;
  const frame = view.frames[settings.backend];
  const canvas = Object.assign(document.createElement("canvas"), { width: 1600, height: 860 });
  const context = canvas.getContext("2d");
  context.fillStyle = theme.surface;
  context.fillRect(0, 0, 1600, 860);
  context.fillStyle = theme.ink;
  context.font = "600 30px system-ui, sans-serif";
  const sizes = [2, ...settings.hidden, frame?.sizes.at(-1) ?? 1].join("-");
  context.fillText(`${sizes}, ${settings.activation}, ${settings.backend}`, 40, 58);
  context.font = "24px system-ui, sans-serif";
  context.fillStyle = theme.pale;
  if (frame) context.fillText(`step ${frame.step}, loss ${$("read-loss").textContent}, ${$("read-accuracy").textContent} right`, 40, 98);
  const [n, p, c] = [$("network-canvas"), $("plane"), $("curve")];
  const into = (source, x, y, w, h) => {
    const scale = Math.min(w / source.width, h / source.height);
    context.drawImage(source, x + (w - source.width * scale) / 2, y, source.width * scale, source.height * scale);
  };
  into(n, 40, 130, 760, 500);
  into(c, 40, 660, 760, 160);
  into(p, 840, 100, 720, 720);
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: "playground.png" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  $("export").open = false;
});
for (const id of ["export-weights", "export-script"]) $(id).addEventListener("click", () => ($("export").open = false));
addEventListener("click", ({ target }) => {
  if (!target.closest("#export")) $("export").open = false;
});

function showTheme() {
  theme = new Theme();
  drawThumbnails(theme, CLASSES, marker);
  stale = true;
}
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", showTheme);
$("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = theme.dark ? "light" : "dark";
  showTheme();
});
new ResizeObserver(() => (stale = true)).observe(document.body);

showTheme();
requestAnimationFrame(tick);
