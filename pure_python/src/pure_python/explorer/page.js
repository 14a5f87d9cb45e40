// The page of explore: a graph that plays its forward and its backward pass.
// `Graphviz` is defined above this text. Text from the user reaches the page as textContent alone.

const graph = JSON.parse(document.getElementById("graph").textContent);
const { nodes, roots, forward, groups } = graph;
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

// Elements ------------------------------------------------------------------------------------

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const span = (kind, text) => html("span", { class: kind }, text);

// Numbers and formulas in words -----------------------------------------------------------------

const NOT_FINITE = { nan: NaN, inf: Infinity, "-inf": -Infinity };
const number = (x) => (typeof x === "string" ? NOT_FINITE[x] : x);

/** A number as Python writes it, with all its digits. */
function exact(x) {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (Object.is(x, -0)) return "-0.0";
  const [digits, exponent] = (Math.abs(x) >= 1e16 || (x && Math.abs(x) < 1e-4) ? x.toExponential() : String(x)).split("e");
  if (exponent) return `${digits}e${exponent[0] === "-" ? "-" : "+"}${exponent.slice(1).padStart(2, "0")}`;
  return digits.includes(".") ? digits : `${digits}.0`;
}

/** Four significant digits. */
function short(x) {
  if (!Number.isFinite(x) || x === 0) return exact(x);
  const size = Math.abs(x);
  if (size >= 1e-3 && size < 9999.5) return exact(Number(x.toPrecision(4)));
  return String(Number(x.toPrecision(4)).toExponential()).replace("e+", "e");
}

const sign = (op) => op.replace(/^\*(?= |$)/, "×");

/** A node's operation with `terms` for its operands: names, or numbers. */
function formula(op, terms) {
  const [a, b] = terms;
  const second = (term) => (/^-/.test(term) ? `(${term})` : term);
  let found;
  if (terms.length === 2 && /^([-+*/]|\*\*)$/.test(op)) return `${a} ${sign(op)} ${second(b)}`;
  if (terms.length === 1) {
    if ((found = /^([-+*/]|\*\*) (\S+)$/.exec(op))) return `${a} ${sign(found[1])} ${second(found[2])}`;
    if ((found = /^(\S+) ([-/]|\*\*)$/.exec(op))) return `${found[1]} ${found[2]} ${second(a)}`;
    if ((found = /^(maximum|minimum) (\S+)$/.exec(op))) return `${found[1]}(${a}, ${found[2]})`;
    if ((found = /^(leaky_relu)\((\S+)\)$/.exec(op))) return `${found[1]}(${a}, ${found[2]})`;
    if (op === "neg") return `-${second(a)}`;
    if (op === "abs") return `|${a}|`;
  }
  const shown = terms.length > 6 ? [...terms.slice(0, 4), "…", terms.at(-1)] : terms;
  return `${op}(${shown.join(", ")})`;
}

const name = (node) => nodes[node].name;
const symbols = (node) => formula(nodes[node].op, nodes[node].operands.map(name));
const numbers = (node, write) => formula(nodes[node].op, nodes[node].operands.map((o) => write(data[o])));

// What is known at each time --------------------------------------------------------------------
// Time 0: the leaves hold their data. Then a node a step is computed; then the roots get their
// gradient of 1; then an edge a step hands a gradient on.

const data = nodes.map((node) => number(node.data));
const steps = graph.steps.map(([node, position, local, above, contribution, total]) => ({
  node,
  position,
  operand: nodes[node].operands[position],
  local: number(local),
  above: number(above),
  contribution: number(contribution),
  total: number(total),
}));
const SEED = forward.length + 1;
const END = SEED + steps.length;

const computedAt = new Int32Array(nodes.length);
forward.forEach((node, i) => (computedAt[node] = i + 1));
const contributions = nodes.map(() => []); // to each node's gradient, as places in `steps`
{
  const grads = new Array(nodes.length).fill(null);
  roots.forEach((node, i) => (grads[node] = number(graph.seeds[i])));
  steps.forEach((step, i) => {
    step.before = grads[step.operand];
    grads[step.operand] = step.total;
    contributions[step.operand].push(i);
  });
}
const users = nodes.map(() => []);
nodes.forEach((node, i) => node.operands.forEach((operand) => users[operand].push(i)));

let time = 0;
const grads = new Array(nodes.length).fill(null); // what each node's gradient is now; null: none yet
const changed = new Set(); // the nodes whose box is to be written anew
const givenNow = new Set(); // the steps taken, or taken back, since the last frame

/** Move to a time, and note what it changes. */
function moveTo(target) {
  target = Math.max(0, Math.min(END, target));
  while (time < target) apply(++time, true);
  while (time > target) apply(time--, false);
}

function apply(moment, ahead) {
  if (moment < SEED) {
    changed.add(forward[moment - 1]);
  } else if (moment === SEED) {
    roots.forEach((node, i) => {
      grads[node] = ahead ? number(graph.seeds[i]) : null;
      changed.add(node);
    });
  } else {
    const place = moment - SEED - 1;
    const step = steps[place];
    grads[step.operand] = ahead ? step.total : step.before;
    changed.add(step.operand);
    const edge = edgeOf(place);
    if (edge) {
      edge.done += ahead ? 1 : -1;
      givenNow.add(edge);
    }
  }
}

const hasData = (node) => computedAt[node] <= time;

// Folding -----------------------------------------------------------------------------------------

const LEVELS = ["everything", "neurons", "layers", "samples", "parts"];
const folded = groups.map((group) => group.level <= graph.level);
const chains = nodes.map((node) => around(node.group)); // the groups of each node, innermost first
const members = groups.map(() => []);
chains.forEach((chain, node) => chain.forEach((group) => members[group].push(node)));
// What others see of a group: its results that are used outside; of weights, all.
const outputs = members.map((inside, group) => {
  const seen = (node) =>
    nodes[node].operands.length &&
    (roots.includes(node) || users[node].some((user) => !chains[user].includes(group)));
  const results = inside.filter(seen);
  return results.length ? results : inside;
});

function around(group) {
  const chain = [];
  for (; group >= 0; group = groups[group].parent) chain.push(group);
  return chain;
}

/** The id of the box that shows a node. */
function boxIdOf(node) {
  const outermost = chains[node].findLast((group) => folded[group]);
  return outermost === undefined ? `n${node}` : `g${outermost}`;
}

function foldTo(level) {
  groups.forEach((group, i) => (folded[i] = group.level <= level));
}

// Drawing -----------------------------------------------------------------------------------------

const drawing = $("drawing");
const scene = svg("g");
drawing.append(scene);

let boxes = new Map(); // by id
let boxOf = []; // by node
let edgesOf = []; // by node, then position: the drawn edge, or null inside a folded group
let shapes = []; // the drawn boxes and edges
const LARGE = 600; // shapes
let size = { width: 1, height: 1 };
let graphviz;

const edgeOf = (place) => edgesOf[steps[place].node]?.[steps[place].position];

const measure = document.createElement("canvas").getContext("2d");
const family = getComputedStyle(document.body).fontFamily;

function textWidth(text, font) {
  measure.font = `${font} ${family}`;
  return measure.measureText(text).width;
}

/** As much of a text as fits, on one line. */
function cut(text, font, width) {
  text = text.replace(/\s+/g, " ");
  if (textWidth(text, font) <= width) return text;
  let length = Math.min(text.length, 60);
  while (length > 1 && textWidth(`${text.slice(0, length)}…`, font) > width) length--;
  return `${text.slice(0, length)}…`;
}

const TITLE = "650 13px";
const CELL = "600 14px";
const HEIGHT = 44;

function boxFor(id) {
  const group = id[0] === "g" ? Number(id.slice(1)) : null;
  const node = group === null ? Number(id.slice(1)) : null;
  const single = group !== null && outputs[group].length === 1 ? outputs[group][0] : node;
  const title = group === null ? name(node) : groups[group].name;
  const op = single === null || group !== null ? "" : sign(nodes[single].op);
  const wanted = textWidth(title, TITLE) + (op ? textWidth(op, TITLE) + 12 : 0) + (group === null ? 20 : 42);
  return {
    id, group, node, title, op,
    shows: single, // whose data and gradient it shows; null for a group of many outputs
    width: Math.round(Math.max(140, Math.min(250, wanted))),
    height: HEIGHT,
  };
}

/** The boxes and edges of the present folding. */
function arrange() {
  const arranged = new Map();
  const byNode = nodes.map((_, node) => {
    const id = boxIdOf(node);
    if (!arranged.has(id)) arranged.set(id, boxFor(id));
    return arranged.get(id);
  });
  const edges = new Map();
  const byOperand = nodes.map((node, i) =>
    node.operands.map((operand, position) => {
      const [tail, head] = [byNode[operand], byNode[i]];
      if (tail === head) return null;
      // Between two nodes every use has its own edge, so that both of a + a are seen.
      const single = tail.group === null && head.group === null;
      const id = single ? `e${i}-${position}` : `${tail.id}-${head.id}`;
      if (!edges.has(id)) edges.set(id, { id, tail, head, uses: 0, done: 0 });
      edges.get(id).uses++;
      return edges.get(id);
    }),
  );
  return { arranged, byNode, edges, byOperand };
}

/** DOT: sizes and ids alone, as the page writes all text itself. */
function describe({ arranged, edges }, rankdir) {
  const [tailport, headport] = rankdir === "LR" ? ["e", "w"] : ["s", "n"];
  const many = arranged.size > 400 || edges.size > 500;
  const lines = [
    `digraph { rankdir=${rankdir} nodesep=0.17 ranksep=${0.45 + Math.min(2, edges.size / arranged.size / 5)}`,
    many ? "nslimit=2 nslimit1=2 mclimit=0.3 splines=line" : "",
    `node [shape=box fixedsize=true label=""] edge [tailport=${tailport} headport=${headport} dir=none]`,
  ];
  const opened = new Map(); // open groups, by the group they lie in
  const inside = new Map();
  const put = (map, key, value) => map.set(key, [...(map.get(key) ?? []), value]);
  const known = new Set();
  for (const box of arranged.values()) {
    const chain = box.group === null ? chains[box.node] : around(groups[box.group].parent);
    put(inside, chain[0] ?? -1, box);
    chain.forEach((group) => {
      if (known.has(group)) return;
      known.add(group);
      put(opened, groups[group].parent, group);
    });
  }
  const write = (group) => {
    for (const { id, width, height } of inside.get(group) ?? []) {
      lines.push(`${id} [width=${width / 72} height=${height / 72}]`);
    }
    for (const inner of opened.get(group) ?? []) {
      lines.push(`subgraph cluster_${inner} { margin=7 labeljust=l fontname=Helvetica fontsize=11 label="${"x".repeat(groups[inner].name.length + 3)}"`);
      write(inner);
      lines.push("}");
    }
  };
  write(-1);
  for (const { id, tail, head } of edges.values()) lines.push(`${tail.id} -> ${head.id} [id="${id}"]`);
  // A neuron begins where what it takes in ends: so the layers of a network stand side by side.
  const first = new Map(); // the leaves of each open group that its first result takes in
  for (const node of forward) {
    const [group] = chains[node];
    if (group === undefined || first.has(group) || folded[group]) continue;
    const leaves = nodes[node].operands.filter((operand) => chains[operand][0] === group && !nodes[operand].operands.length);
    first.set(group, leaves.map((leaf) => `n${leaf}`));
  }
  for (const { tail, head } of edges.values()) {
    if (head.group !== null || (tail.group === null && !nodes[tail.node].operands.length)) continue;
    const [group] = chains[head.node];
    if (group === undefined || (tail.group === null && chains[tail.node].includes(group))) continue;
    for (const leaf of first.get(group) ?? []) lines.push(`${tail.id} -> ${leaf} [style=invis]`);
  }
  return `${lines.join("\n")}\n}`;
}

/** Where Graphviz puts everything, with y downwards. */
function layOut(arrangement, rankdir) {
  const layout = JSON.parse(graphviz.layout(describe(arrangement, rankdir), "json0", "dot"));
  const [, , width, height] = layout.bb.split(",").map(Number);
  const point = (text) => {
    const [x, y] = text.split(",").map(Number);
    return [x, height - y];
  };
  const places = { width, height, boxes: new Map(), clusters: [], edges: new Map() };
  for (const object of layout.objects ?? []) {
    if (object.bb) {
      const [x0, y0, x1, y1] = object.bb.split(",").map(Number);
      places.clusters.push({ group: Number(object.name.slice(8)), x: x0, y: height - y1, width: x1 - x0, height: y1 - y0 });
    } else {
      places.boxes.set(object.name, point(object.pos));
    }
  }
  for (const edge of layout.edges ?? []) {
    if (edge.id) places.edges.set(edge.id, edge.pos.split(" ").map(point));
  }
  putInOrder(arrangement, places, rankdir);
  return places;
}

/** Sort the folded neurons of a layer, which Graphviz has put where fewest edges cross. */
function putInOrder({ arranged, edges }, places, rankdir) {
  const across = rankdir === "LR" ? 1 : 0; // the coordinate along a layer
  const rows = Map.groupBy(
    [...arranged.values()].filter((box) => box.group !== null && groups[groups[box.group].parent]?.level === 2),
    (box) => groups[box.group].parent,
  );
  const moved = new Set();
  for (const row of rows.values()) {
    if (row.some((box) => box.width !== row[0].width)) continue;
    const slots = row.map((box) => places.boxes.get(box.id)).sort((a, b) => a[across] - b[across]);
    row.sort((a, b) => a.group - b.group).forEach((box, i) => {
      places.boxes.set(box.id, slots[i]);
      moved.add(box);
    });
  }
  for (const { id, tail, head } of edges.values()) {
    if (!moved.has(tail) && !moved.has(head)) continue;
    const [from, to] = [places.boxes.get(tail.id), places.boxes.get(head.id)].map((place) => [...place]);
    from[1 - across] += (across ? tail.width : tail.height) / 2;
    to[1 - across] -= (across ? head.width : head.height) / 2;
    const halfway = (from[1 - across] + to[1 - across]) / 2;
    const bend = ([x, y]) => (across ? [halfway, y] : [x, halfway]);
    places.edges.set(id, [from, bend(from), bend(to), to]);
  }
}

/** How large the whole graph can be shown. */
const scaleOf = ({ width, height }) => Math.min(1.5, (stage.width - 24) / width, (stage.height - 24) / height);

async function draw() {
  const arrangement = arrange();
  const count = arrangement.arranged.size;
  $("message").textContent = count > 150 ? `Laying out ${count} boxes …` : "Laying out the graph …";
  // The message is painted before the layout begins.
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  let places = layOut(arrangement, "LR");
  if (count <= 150 && scaleOf(places) < 0.9) {
    const upright = layOut(arrangement, "TB");
    if (scaleOf(upright) > 1.15 * scaleOf(places)) places = upright;
  }
  ({ arranged: boxes, byNode: boxOf, byOperand: edgesOf } = arrangement);
  size = places;
  const layers = [0, 1, 2].map(() => svg("g"));
  const drawn = [
    places.clusters.sort((a, b) => b.width * b.height - a.width * a.height).map(drawCluster),
    [...arrangement.edges.values()].map((edge) => drawEdge(edge, places.edges.get(edge.id))),
    [...boxes.values()].map((box) => drawBox(box, places.boxes.get(box.id))),
  ];
  shapes = [...arrangement.edges.values(), ...boxes.values()];
  for (const shape of shapes) shape.layer = layers[shape.tail ? 1 : 2];
  layers.forEach((layer, i) => layer.append(...drawn[i]));
  scene.replaceChildren(...layers);
  // The new elements know nothing yet of the time.
  givenNow.clear();
  for (let place = 0; place < time - SEED; place++) {
    const edge = edgeOf(place);
    if (!edge) continue;
    edge.done++;
    givenNow.add(edge);
  }
  nodes.forEach((_, node) => changed.add(node));
  active.length = 0;
  $("message").textContent = "";
  foldingChoice.value = currentLevel();
  search();
  settle();
  show();
}

function drawCluster({ group, x, y, width, height }) {
  const fold = () => setFolded(group, true);
  return svg(
    "g", { class: "cluster" },
    svg("rect", { x, y, width, height, rx: 9 }),
    svg(
      "g", { class: "fold", role: "button", tabindex: 0, "aria-label": `Fold ${groups[group].name}`, onclick: fold, onkeydown: pressed(fold) },
      svg("rect", { x: x + 2, y: y + 2, width: Math.min(width - 4, 90), height: 18, fill: "transparent", stroke: "none" }),
      svg("text", { x: x + 9, y: y + 16 }, `− ${groups[group].name}`),
    ),
  );
}

function drawEdge(edge, points) {
  const [start, ...rest] = points;
  edge.away = false;
  edge.extent = extentOf(points);
  const [x, y] = points.at(-1);
  // The direction in which it arrives: from the last point that is not the end itself.
  const [px, py] = points.findLast(([a, b]) => Math.hypot(a - x, b - y) > 0.5) ?? [x - 1, y];
  edge.element = svg(
    "g", { class: "edge", id: edge.id, style: `--width: ${1.2 + Math.min(2.5, Math.log2(edge.uses) / 2)}` },
    svg("path", { d: `M${start}C${rest.join(" ")}` }),
    arrow("head", 8, x, y, px, py),
    arrow("back", 13, ...start, ...(rest.find(([a, b]) => Math.hypot(a - start[0], b - start[1]) > 0.5) ?? [x, y])),
  );
  return edge.element;
}

/** What some points span, and a little more. */
function extentOf(points) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  return { left: Math.min(...xs) - 6, right: Math.max(...xs) + 6, top: Math.min(...ys) - 6, bottom: Math.max(...ys) + 6 };
}

/** An arrow's head at (x, y), for an edge that comes from (fromX, fromY). */
function arrow(kind, length, x, y, fromX, fromY) {
  const angle = (Math.atan2(y - fromY, x - fromX) * 180) / Math.PI;
  return svg("path", { class: kind, d: `M0 0L${-length} ${-0.45 * length}V${0.45 * length}z`, transform: `translate(${x} ${y}) rotate(${angle.toFixed(1)})` });
}

function drawBox(box, [centerX, centerY]) {
  const { id, group, node, title, op, width, height } = box;
  const middle = 19;
  const role = group === null ? `${nodes[node].role}${nodes[node].named ? "" : " unnamed"}` : "group";
  box.x = centerX;
  box.y = centerY;
  box.away = false;
  box.extent = extentOf([[centerX - width / 2, centerY - height / 2], [centerX + width / 2, centerY + height / 2]]);
  box.data = svg("text", { class: "data", x: width / 4 + 1, y: height - 7.5 });
  box.grad = svg("text", { class: "grad", x: (3 * width) / 4 - 1, y: height - 7.5 });
  const left = group === null ? 9 : 30;
  // Of title and operation each is whole if both fit; else the title may take the room that is left.
  const room = width - left - 9 - (op ? 10 : 0);
  const opWidth = op ? Math.min(textWidth(op, TITLE) + 1, Math.max(room / 2, room - textWidth(title, TITLE))) : 0;
  box.element = svg(
    "g",
    {
      id, class: `box ${role}`, role: "button", tabindex: 0, transform: `translate(${centerX - width / 2} ${centerY - height / 2})`,
      "aria-label": group === null ? `${title}, ${nodes[node].operands.length ? symbols(node) : nodes[node].role}` : `${title}, folded`,
      onclick: () => pin(id), onkeydown: pressed(() => pin(id)),
      onpointerenter: (event) => event.pointerType === "mouse" && showTooltip(box), onpointerleave: hideTooltip,
      onfocus: () => box.element.matches(":focus-visible") && showTooltip(box), onblur: hideTooltip,
    },
    ...(group === null ? [] : [svg("rect", { class: "sheet", x: 4, y: 4, width, height, rx: 6 })]),
    svg("rect", { class: "frame", width, height, rx: 6 }),
    svg("path", { class: "rule", d: `M0 ${middle}H${width}M${width / 2} ${middle}V${height}` }),
    svg("text", { class: "title name", x: left, y: 14.5 }, cut(title, TITLE, room - opWidth)),
    ...(op ? [svg("text", { class: "op", x: width - 9, y: 14.5 }, cut(op, TITLE, opWidth))] : []),
    box.data,
    box.grad,
  );
  if (group !== null) {
    const unfold = (event) => {
      event.stopPropagation();
      setFolded(group, false);
    };
    box.element.append(
      svg("g", { class: "knob", "aria-label": `Unfold ${title}`, transform: "translate(16 9.8)", onclick: unfold },
        svg("title", {}, `Unfold ${title}`), svg("circle", { r: 7 }), svg("path", { d: "M-4 0H4M0 -4V4" })),
    );
  }
  return box.element;
}

/** A handler for what is a button though HTML does not know it. */
function pressed(action) {
  return (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    action(event);
  };
}

function currentLevel() {
  const level = LEVELS.findIndex((_, i) => groups.every((group, g) => folded[g] === group.level <= i));
  return level < 0 ? "" : String(level);
}

async function setFolded(group, fold) {
  folded[group] = fold;
  // What lies in an unfolded group is seen, so the groups around it are open too.
  if (!fold) around(groups[group].parent).forEach((outer) => (folded[outer] = false));
  hideTooltip();
  await draw();
  if (pinned) pin(boxes.has(pinned) ? pinned : null);
}

// Showing the time --------------------------------------------------------------------------------

const active = []; // [element, class] of what the present step lights up

function light(element, kind) {
  element.classList.add(kind);
  active.push([element, kind]);
}

/** Write a number into its half of a box, pressed together where it is too long. */
function writeCell(cell, text, width) {
  if (cell.textContent === text) return;
  cell.textContent = text;
  const room = width / 2 - 10;
  if (text.length > 7 && textWidth(text, CELL) > room) {
    cell.setAttribute("textLength", room);
    cell.setAttribute("lengthAdjust", "spacingAndGlyphs");
  } else if (cell.hasAttribute("textLength")) {
    cell.removeAttribute("textLength");
    cell.removeAttribute("lengthAdjust");
  }
}

function writeBox(box) {
  if (box.shows !== null) {
    writeCell(box.data, hasData(box.shows) ? short(data[box.shows]) : "", box.width);
    writeCell(box.grad, grads[box.shows] === null ? "" : short(grads[box.shows]), box.width);
  } else {
    const inside = outputs[box.group];
    writeCell(box.data, `${inside.filter(hasData).length} of ${inside.length}`, box.width);
    const given = inside.filter((node) => grads[node] !== null).length;
    writeCell(box.grad, given ? `${given} of ${inside.length}` : "", box.width);
  }
}

/** Bring the page to the present time, touching what has changed alone. */
function show() {
  if (!boxes.size) return;
  const written = new Set();
  for (const node of changed) written.add(boxOf[node]);
  changed.clear();
  written.forEach(writeBox);
  for (const edge of givenNow) edge.element.classList.toggle("done", edge.done === edge.uses);
  givenNow.clear();

  for (const [element, kind] of active) element.classList.remove(kind);
  active.length = 0;
  let focus = [];
  if (time > 0 && time < SEED) {
    const node = forward[time - 1];
    focus = [boxOf[node], ...nodes[node].operands.slice(0, 4).map((operand) => boxOf[operand])];
    light(boxOf[node].element, "computed");
    edgesOf[node].forEach((edge) => edge && light(edge.element, "flowing"));
  } else if (time === SEED) {
    roots.forEach((node) => light(boxOf[node].element, "given"));
    focus = [boxOf[roots[0]]];
  } else if (time > SEED) {
    const step = steps[time - SEED - 1];
    const edge = edgeOf(time - SEED - 1);
    light(boxOf[step.node].element, "above");
    light(boxOf[step.operand].element, "given");
    if (edge) {
      light(edge.element, "local");
      if (!edge.away) edge.layer.append(edge.element); // above the others
    }
    focus = [boxOf[step.operand], boxOf[step.node]];
  }
  keepInView(focus);
  writeRule();
  writeControls();
  writePanel();
  if (tooltipBox) showTooltip(tooltipBox);
}

const [phaseLine, ruleLine, noteLine] = $("rule").children;

function writeRule() {
  const named = (node, after = "") => span("name", name(node) + after);
  let phase, line, note;
  if (time === 0) {
    phase = ["", "Start"];
    line = ["The leaves hold their data."];
    note = [forward.length ? "The forward pass computes the rest, the backward pass the gradients. Play, or step with →." : "Play, or step with →."];
  } else if (time < SEED) {
    const node = forward[time - 1];
    phase = ["forward", `Forward, step ${time} of ${forward.length}`];
    line = [named(node), " = ", span("name", symbols(node)), " = ", span("in-data", numbers(node, short)), " = ", span("in-data", short(data[node]))];
    note = [inside(node)];
  } else if (time === SEED) {
    phase = ["backward", `Backward, the beginning`];
    line = roots.slice(0, 6).flatMap((node, i) => [i ? ", " : "", named(node, ".grad"), " = ", span("in-grad", short(grads[node]))]);
    note = ["How much does the result change with the result itself? One for one."];
  } else {
    const { node, position, operand, local, above, contribution, total, before } = steps[time - SEED - 1];
    phase = ["backward", `Backward, step ${time - SEED} of ${steps.length}`];
    line = [
      named(operand, ".grad"), " += ", span("in-local", "local"), " × ", span("in-grad", "above"), " = ",
      span("in-local", short(local)), " × ", span("in-grad", short(above)), " = ", span("in-grad", short(contribution)),
    ];
    note = [
      span("in-local", `local = ∂`), span("name in-local", name(node)), span("in-local", "/∂"), span("name in-local", placed(node, position)), " of ",
      named(node), " = ", span("name", symbols(node)), "; ", span("in-grad", "above = "), span("name in-grad", `${name(node)}.grad`), "; ",
      ...(before === null
        ? ["the first contribution to ", named(operand, ".grad")]
        : [named(operand, ".grad"), ` was ${short(before)}, is now ${short(total)}`]),
    ];
  }
  phaseLine.className = `phase ${phase[0]}`;
  phaseLine.textContent = phase[1];
  ruleLine.replaceChildren(...line);
  noteLine.replaceChildren(...note);
}

/** An operand's name; of one that is there several times, which: of a × a each factor gives its own share. */
function placed(node, position) {
  const { operands } = nodes[node];
  const operand = operands[position];
  const before = operands.slice(0, position).filter((other) => other === operand).length;
  if (before === 0 && !operands.includes(operand, position + 1)) return name(operand);
  return `(${["first", "second", "third"][before] ?? `${before + 1}th`} ${name(operand)})`;
}

/** The groups that a node lies in, as a place name. */
function inside(node) {
  return chains[node].length ? `in ${chains[node].map((group) => groups[group].name).join(", ")}` : "";
}

// Tooltip and panel -------------------------------------------------------------------------------

const tooltip = $("tooltip");
let tooltipBox = null;

function showTooltip(box) {
  tooltipBox = box;
  const node = box.shows;
  const lines = [html("p", { class: "formula name" }, box.group !== null ? box.title : nodes[node].operands.length ? `${name(node)} = ${symbols(node)}` : `${name(node)}, ${nodes[node].role}`)];
  if (box.group !== null) lines.push(html("p", {}, `${count(members[box.group].length, "node")}, folded`));
  if (node !== null) {
    if (nodes[node].operands.length && hasData(node)) lines.push(html("p", { class: "in-data" }, `= ${numbers(node, short)}`));
    lines.push(html("p", {}, "data ", span("in-data", hasData(node) ? exact(data[node]) : "not computed yet")));
    lines.push(html("p", {}, "grad ", span("in-grad", grads[node] === null ? "none yet" : exact(grads[node]))));
  }
  tooltip.replaceChildren(...lines);
  tooltip.hidden = false;
  const at = box.element.getBoundingClientRect();
  const { width, height } = tooltip.getBoundingClientRect();
  const below = at.bottom + 8 + height < innerHeight;
  tooltip.style.left = `${Math.max(8, Math.min(innerWidth - width - 8, at.left))}px`;
  tooltip.style.top = `${below ? at.bottom + 8 : Math.max(8, at.top - height - 8)}px`;
}

function hideTooltip() {
  tooltipBox = null;
  tooltip.hidden = true;
}

const count = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
const panel = $("panel");
let pinned = null; // the id of a box
let live = []; // functions that write what changes with time in the panel

/** Pin a box, or with null nothing. */
function pin(id) {
  boxes.get(pinned)?.element.classList.remove("pinned");
  pinned = id;
  panel.hidden = id === null;
  live = [];
  if (id !== null) {
    const box = boxes.get(id);
    box.element.classList.add("pinned");
    panel.replaceChildren(
      html("header", {}, html("h2", { class: "name" }, box.title), html("button", { class: "icon", "aria-label": "Unpin", title: "Unpin (Esc)", onclick: () => pin(null) },
        svg("svg", { viewBox: "0 0 20 20" }, svg("path", { class: "line", d: "M4.5 4.5l11 11M15.5 4.5l-11 11" })))),
      ...(box.group === null ? aboutNode(box.node) : aboutGroup(box.group)),
    );
    panel.scrollTop = 0;
    writePanel();
    hideTooltip();
  }
}

function writePanel() {
  for (const write of live) write();
}

/** An element whose text follows the time. */
function following(tag, kind, text) {
  const element = html(tag, { class: kind });
  live.push(() => {
    const now = text();
    if (element.textContent !== now) element.textContent = now;
  });
  return element;
}

const dataText = (node, write) => (hasData(node) ? write(data[node]) : "not computed yet");
const gradText = (node, write) => (grads[node] === null ? "none yet" : write(grads[node]));

function exactly(node) {
  return html("dl", {},
    html("dt", {}, "data"), following("dd", "in-data data", () => dataText(node, exact)),
    html("dt", {}, "grad"), following("dd", "in-grad grad", () => gradText(node, exact)));
}

function aboutNode(node) {
  const { op, operands, role } = nodes[node];
  const parts = [html("p", { class: "role" }, [operands.length ? op : role, role === "root" && operands.length ? "root" : "", inside(node)].filter(Boolean).join(", "))];
  if (operands.length) {
    parts.push(html("p", { class: "formula name" }, `${name(node)} = ${symbols(node)}`));
    parts.push(html("p", { class: "in-data" }, `= ${numbers(node, exact)}`));
  }
  parts.push(exactly(node), html("h3", {}, "Contributions to its gradient"));
  const given = contributions[node].map((place) => {
    const { node: user, local, above, contribution } = steps[place];
    const button = html("button", { onclick: () => goTo(SEED + 1 + place), title: "Go to this step" },
      html("span", { class: "giving" },
        html("span", { class: "from name" }, `from ${name(user)}, step ${place + 1}`),
        "local", html("span", { class: "number in-local" }, exact(local)),
        "above", html("span", { class: "number in-grad" }, exact(above)),
        "local × above", html("span", { class: "number in-grad contribution" }, exact(contribution))));
    let was = null;
    live.push(() => {
      const state = time < SEED + 1 + place ? "coming" : time === SEED + 1 + place ? "now" : "";
      if (state !== was) button.className = was = state;
    });
    return html("li", {}, button);
  });
  const seed = roots.indexOf(node);
  if (seed >= 0) given.unshift(html("li", {}, html("button", { onclick: () => goTo(SEED) }, html("span", { class: "pair" }, "the backward pass begins with", span("in-grad", exact(number(graph.seeds[seed])))))));
  parts.push(html("ol", {}, ...given));
  if (given.length > 1) parts.push(html("p", { class: "sum pair" }, "sum so far", following("span", "in-grad", () => gradText(node, exact))));
  if (!given.length) parts.push(html("p", { class: "role" }, "Nothing was computed from it."));
  if (operands.length) parts.push(html("h3", {}, "Operands"), listOf(operands));
  if (users[node].length) parts.push(html("h3", {}, "Used by"), listOf([...new Set(users[node])]));
  return parts;
}

function aboutGroup(group) {
  const parts = [
    html("p", { class: "role" }, `${count(members[group].length, "node")}, folded`),
    html("button", { class: "unfold", onclick: () => setFolded(group, false) }, `Unfold ${groups[group].name}`),
  ];
  const shown = outputs[group];
  if (shown.length === 1) {
    const [node] = shown;
    if (nodes[node].operands.length) parts.push(html("p", { class: "formula name" }, `${name(node)} = ${symbols(node)}`));
    parts.push(exactly(node));
  } else {
    parts.push(html("h3", {}, `Results, ${shown.length}`), listOf(shown.slice(0, 200)));
  }
  const leaves = members[group].filter((node) => !nodes[node].operands.length && !shown.includes(node));
  if (leaves.length) parts.push(html("h3", {}, `Leaves in it, ${leaves.length}`), listOf(leaves.slice(0, 200)));
  return parts;
}

/** Nodes as a list of buttons that pin them, each with its data and gradient. */
function listOf(list) {
  return html("ul", {}, ...list.map((node) =>
    html("li", {}, html("button", { onclick: () => reveal(node) },
      html("span", { class: "pair" }, span("name", name(node)), html("span", { class: "numbers" },
        following("span", "in-data", () => (hasData(node) ? short(data[node]) : "·")), " | ",
        following("span", "in-grad", () => (grads[node] === null ? "·" : short(grads[node])))))))));
}

/** Unfold whatever hides a node, pin it and bring it into view. */
async function reveal(node) {
  if (chains[node].some((group) => folded[group])) {
    chains[node].forEach((group) => (folded[group] = false));
    await draw();
  }
  pin(`n${node}`);
  keepInView([boxOf[node]]);
}

// Search --------------------------------------------------------------------------------------------

const searchBox = $("search").querySelector("input");
const searchCount = $("search").querySelector("output");
let found = [];
let nextFound = 0;

function search() {
  const wanted = searchBox.value.trim().toLowerCase();
  found = wanted ? nodes.flatMap((node, i) => (node.name.toLowerCase().includes(wanted) ? [i] : [])) : [];
  nextFound = 0;
  const hits = new Set(found.map((node) => boxOf[node]));
  for (const box of boxes.values()) box.element.classList.toggle("match", hits.has(box));
  scene.classList.toggle("searching", found.length > 0);
  searchCount.textContent = wanted ? (found.length ? count(found.length, "node") : "none") : "";
}

searchBox.addEventListener("input", search);
$("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!found.length) return;
  const place = nextFound % found.length;
  const all = found;
  await reveal(all[place]); // which may draw anew, and then searches anew
  nextFound = place + 1;
  searchCount.textContent = `${place + 1} of ${all.length}`;
});

// What part of the graph is seen ----------------------------------------------------------------------

const READABLE = 0.55; // a scale at which text can still be read
let view = { x: 0, y: 0, scale: 1 };
let framing = settle; // what a new size of the window calls for: the view that was chosen, or null

let stage = { width: 1, height: 1 }; // pixels, noted when they change: to ask costs a layout

function writeView() {
  const [width, height] = [stage.width / view.scale, stage.height / view.scale];
  drawing.setAttribute("viewBox", `${view.x} ${view.y} ${width} ${height}`);
  // Of a large drawing only what is seen is in the page, and texts that are too small to read never.
  scene.classList.toggle("small", view.scale < 0.22);
  for (const thing of shapes.length > LARGE ? shapes : []) {
    const { left, right, top, bottom } = thing.extent;
    const away = right < view.x || left > view.x + width || bottom < view.y || top > view.y + height;
    if (away === thing.away) continue;
    thing.away = away;
    if (away) thing.element.remove();
    else thing.layer.append(thing.element);
  }
}

/** Look at a point of the graph from so near, with no more emptiness beside it than there has to be. */
function lookAt(x, y, scale = view.scale) {
  const margin = 12;
  const from = (at, seen, length) =>
    seen > length ? (length - seen) / 2 : Math.max(-margin, Math.min(length + margin - seen, at - seen / 2));
  view.scale = Math.max(0.02, scale);
  view.x = from(x, stage.width / view.scale, size.width);
  view.y = from(y, stage.height / view.scale, size.height);
  writeView();
}

function fit() {
  lookAt(size.width / 2, size.height / 2, scaleOf(size));
  framing = fit;
}

/** The whole graph where it can be read then, else what the present step is about. */
function settle() {
  const whole = scaleOf(size);
  framing = settle;
  if (whole >= READABLE) {
    lookAt(size.width / 2, size.height / 2, whole);
  } else {
    const computed = forward[Math.max(0, Math.min(time, forward.length) - 1)] ?? roots[0];
    const { x, y } = boxOf[time > SEED ? steps[time - SEED - 1].operand : computed];
    lookAt(x, y, READABLE);
  }
}

/** Larger or smaller, with what is at a point of the drawing left where it is. */
function zoom(factor, x = stage.width / 2, y = stage.height / 2) {
  const scale = Math.max(0.02, Math.min(4, view.scale * factor));
  view.x += x / view.scale - x / scale;
  view.y += y / view.scale - y / scale;
  view.scale = scale;
  framing = null;
  writeView();
}

/** Move to where all these boxes are seen, or at least the first. */
function keepInView(wanted) {
  if (!wanted.length || pointers.size) return;
  const width = stage.width / view.scale;
  const height = stage.height / view.scale;
  const frameOf = (list) => ({
    left: Math.min(...list.map((box) => box.extent.left)),
    right: Math.max(...list.map((box) => box.extent.right)),
    top: Math.min(...list.map((box) => box.extent.top)),
    bottom: Math.max(...list.map((box) => box.extent.bottom)),
  });
  let frame = frameOf(wanted);
  if (frame.right - frame.left > width || frame.bottom - frame.top > height) frame = frameOf(wanted.slice(0, 1));
  const { left, right, top, bottom } = frame;
  if (left >= view.x && right <= view.x + width && top >= view.y && bottom <= view.y + height) return;
  lookAt((left + right) / 2, (top + bottom) / 2);
}

const pointers = new Map();
let dragged = false;

drawing.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  if (!pointers.size) dragged = false;
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
});
addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const now = [event.clientX, event.clientY];
  if (!dragged && Math.hypot(now[0] - before[0], now[1] - before[1]) < 5) return;
  if (!dragged) drawing.setPointerCapture(event.pointerId);
  dragged = true;
  drawing.classList.add("moving");
  hideTooltip();
  if (pointers.size === 2) {
    const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const distance = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
    const { left, top } = drawing.getBoundingClientRect();
    zoom(distance(now) / Math.max(1, distance(before)), (now[0] + other[0]) / 2 - left, (now[1] + other[1]) / 2 - top);
  } else {
    view.x -= (now[0] - before[0]) / view.scale;
    view.y -= (now[1] - before[1]) / view.scale;
    framing = null;
    writeView();
  }
  pointers.set(event.pointerId, now);
});
for (const kind of ["pointerup", "pointercancel"]) {
  addEventListener(kind, (event) => {
    pointers.delete(event.pointerId);
    drawing.classList.remove("moving");
  });
}
// The click that ends a drag is none.
drawing.addEventListener("click", (event) => {
  if (dragged) event.stopPropagation();
  dragged = false;
}, true);
drawing.addEventListener("wheel", (event) => {
  // Within a notebook the wheel scrolls the notebook.
  if (window !== window.top && !event.ctrlKey) return;
  event.preventDefault();
  const { left, top } = drawing.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event.clientX - left, event.clientY - top);
}, { passive: false });
function noteSize() {
  stage = { width: drawing.clientWidth, height: drawing.clientHeight };
}

new ResizeObserver(() => {
  noteSize();
  if (!boxes.size) return;
  (framing ?? writeView)();
  if (pinned) keepInView([boxes.get(pinned)]);
}).observe(drawing);

// Paper shows the whole graph, whatever the screen shows.
let onScreen;
addEventListener("beforeprint", () => {
  onScreen = { ...view, framing };
  fit();
  drawing.setAttribute("viewBox", `-6 -6 ${size.width + 12} ${size.height + 12}`);
});
addEventListener("afterprint", () => {
  ({ framing, ...view } = onScreen);
  writeView();
});

// Controls --------------------------------------------------------------------------------------------

const scrub = $("scrub");
scrub.max = END;
scrub.parentNode.style.setProperty("--turn", `${(100 * (SEED - 0.5)) / END}%`);
let playing = false;
let pending = false;
let due = 0; // steps, with their fraction, that playing owes
let lastFrame = 0;

function writeControls() {
  if (scrub.valueAsNumber !== time) scrub.value = time;
  scrub.setAttribute("aria-valuetext", phaseLine.textContent);
  $("first").disabled = $("back").disabled = time === 0;
  $("last").disabled = $("forward").disabled = time === END;
}

/** Show a time with the next frame: of several calls within one frame the last counts. */
let target = 0;
function goTo(moment) {
  target = Math.max(0, Math.min(END, moment));
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    moveTo(target);
    show();
  });
}

/** The next time at which another box takes part: what happens inside a folded one is passed over. */
function nextBox(direction) {
  const at = (moment) => {
    if (moment === 0 || moment === SEED) return moment;
    if (moment < SEED) return boxOf[forward[moment - 1]];
    return edgeOf(moment - SEED - 1) ?? boxOf[steps[moment - SEED - 1].operand];
  };
  let moment = target + direction;
  while (moment > 0 && moment < END && at(moment) === at(target)) moment += direction;
  return moment;
}

function play(on) {
  playing = on;
  due = 0;
  if (on && target === END) goTo(0);
  $("play").setAttribute("aria-pressed", on);
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  // Read aloud are single steps, not a film.
  $("rule").setAttribute("aria-live", on ? "off" : "polite");
  if (on) {
    lastFrame = performance.now();
    requestAnimationFrame(frame);
  }
}

function frame(now) {
  if (!playing) return;
  due += (Math.max(0, now - lastFrame) / 1000) * Number($("speed").value);
  lastFrame = now;
  const whole = Math.floor(due);
  due -= whole;
  if (whole) {
    goTo(target + whole);
    if (target === END) play(false);
  }
  if (playing) requestAnimationFrame(frame);
}

function step(moment) {
  play(false);
  goTo(moment);
}

$("first").addEventListener("click", () => step(0));
$("back").addEventListener("click", () => step(target - 1));
$("play").addEventListener("click", () => play(!playing));
$("forward").addEventListener("click", () => step(target + 1));
$("last").addEventListener("click", () => step(END));
scrub.addEventListener("input", () => step(scrub.valueAsNumber));
$("zoom-in").addEventListener("click", () => zoom(1.3));
$("zoom-out").addEventListener("click", () => zoom(1 / 1.3));
$("fit").addEventListener("click", fit);

const foldingChoice = $("folding").querySelector("select");
const levels = [0, ...new Set(groups.map((group) => group.level))].sort();
$("folding").hidden = levels.length === 1;
foldingChoice.append(
  html("option", { value: "", hidden: "" }, "my choice"),
  ...levels.map((level) => html("option", { value: level }, LEVELS[level])),
);
foldingChoice.addEventListener("change", async () => {
  foldTo(Number(foldingChoice.value));
  pin(null);
  await draw();
});

const KEYS = {
  ArrowLeft: (event) => step(event.shiftKey ? nextBox(-1) : target - 1),
  ArrowRight: (event) => step(event.shiftKey ? nextBox(1) : target + 1),
  Home: () => step(0),
  End: () => step(END),
  " ": () => play(!playing),
  "+": () => zoom(1.3),
  "-": () => zoom(1 / 1.3),
  0: fit,
  "/": () => searchBox.focus(),
  Escape: () => pin(null),
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target: at, key } = event;
  if (at === searchBox) {
    if (key === "Escape") {
      searchBox.value = "";
      search();
      searchBox.blur();
    }
    return;
  }
  if (at.matches?.("select") || (key === " " && at.matches?.("button"))) return;
  if (!(key in KEYS)) return;
  event.preventDefault();
  KEYS[key](event);
});

// Light and dark ----------------------------------------------------------------------------------------

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").setAttribute("aria-pressed", dark);
}
setTheme(prefersDark.matches);
prefersDark.addEventListener("change", () => setTheme(prefersDark.matches));
$("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme !== "dark"));

// Start -------------------------------------------------------------------------------------------------

try {
  graphviz = await Graphviz.load();
  noteSize();
  foldTo(graph.level);
  await draw();
  performance.mark("ready");
  document.documentElement.dataset.ready = "";
} catch (error) {
  $("message").textContent = `The graph could not be drawn: ${error.message ?? error}`;
  throw error;
}
