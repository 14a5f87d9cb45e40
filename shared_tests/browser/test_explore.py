"""The page of explore, opened from a file: its numbers, its controls, its speed."""

import json
import math
import random
import statistics

import pytest

import pure_python
from pure_python import MLP, Value, explore

SNAPSHOT = """
() => JSON.stringify([
  [...document.querySelectorAll(".box, .edge")].map((shape) => [
    shape.id, [...shape.classList].sort().join(" "), shape.textContent,
  ]).sort(),
  document.getElementById("rule").innerText,
])
"""
# The frame rate at which an action a frame is shown.
FRAMES = """
async (action) => {
  const scrub = document.getElementById("scrub");
  const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const act = {
    step: () => press("ArrowRight"),
    scrub: (i) => {
      scrub.value = scrub.max * Math.abs(Math.sin(i / 9));
      scrub.dispatchEvent(new Event("input"));
    },
  }[action];
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  const begin = performance.now();
  for (let i = 0; i < 90; i++) {
    act(i);
    await frame();
  }
  return 90_000 / (performance.now() - begin);
}
"""


@pytest.fixture
def show(page, tmp_path):
    """Write the page of a root and open it, ready."""

    def shown(root, **options):
        explore(root, tmp_path / "backprop.html", **options)
        page.goto((tmp_path / "backprop.html").as_uri())
        page.wait_for_selector("html[data-ready]")
        return page

    return shown


def go(page, time):
    page.evaluate(
        """(time) => {
          const scrub = document.getElementById("scrub");
          scrub.value = time;
          scrub.dispatchEvent(new Event("input"));
          return new Promise(requestAnimationFrame);
        }""",
        time,
    )


def end(page):
    return int(page.get_attribute("#scrub", "max"))


def line(page):
    return page.inner_text("#rule .line")


def unfold_all(page):
    page.select_option("#folding select", "0")
    page.wait_for_function("document.getElementById('message').textContent === ''")


def expression(module):
    """a is used three times, twice by one node."""
    a, b = module.Value(2.0, label="a"), module.Value(-3.0, label="b")
    y = (a * b + a * a) * 0.5
    y.label = "y"
    return y


def network(module, n_outs=(4, 1)):
    model = module.MLP(2, list(n_outs), activation="tanh", seed=1)
    return model([module.Value(1.0, label="x"), module.Value(-2.0, label="y")])


def batch(module):
    model = module.MLP(2, [3, 2], activation="gelu", seed=2)
    outputs = model([[1.0, 2.0], [0.5, -1.0]])
    return module.softmax(outputs[0])[0] + module.cross_entropy(outputs, [0, 1])


@pytest.mark.parametrize("graph", [expression, network, batch])
def test_every_gradient_is_the_engines(backend, show, graph):
    """In the boxes to four digits, in the panel with all."""
    root = graph(backend)
    page = show(root)
    root.backward()
    nodes, _ = backend.trace(root)
    if page.locator("#folding").is_visible():
        unfold_all(page)
    go(page, end(page))
    texts = page.evaluate(
        """[...document.querySelectorAll(".box")].map((box) => [
          box.id, box.querySelector(".data").textContent, box.querySelector(".grad").textContent,
        ])"""
    )
    assert len(texts) == len(nodes)
    for place, data, grad in texts:
        node = nodes[int(place[1:])]
        assert math.isclose(float(data), node.data, rel_tol=5.1e-4, abs_tol=1e-300)
        assert math.isclose(float(grad), node.grad, rel_tol=5.1e-4, abs_tol=1e-15)
    close = 0.0 if backend.name == "pure_python" and graph is not batch else 1e-12
    for i, node in enumerate(nodes):
        page.locator(f"#n{i}").dispatch_event("click")
        shown = [float(text) for text in page.locator("#panel dl dd").all_text_contents()]
        assert math.isclose(shown[0], node.data, rel_tol=close)
        assert math.isclose(shown[1], node.grad, rel_tol=close, abs_tol=close * 1e-3)
        given = [float(t) for t in page.locator("#panel .contribution").all_text_contents()]
        is_root = i == len(nodes) - 1
        assert math.isclose(sum(given, float(is_root)), node.grad, rel_tol=1e-9, abs_tol=1e-15)


def test_stepping_back_undoes_stepping_forward(show):
    """Every state is the same from both sides, and after a leap."""
    page = show(expression(pure_python))
    states = [page.evaluate(SNAPSHOT)]
    for _ in range(end(page)):
        page.keyboard.press("ArrowRight")
        page.evaluate("new Promise(requestAnimationFrame)")
        states.append(page.evaluate(SNAPSHOT))
    assert len(set(states)) == len(states) == end(page) + 1
    for state in reversed(states[:-1]):
        page.keyboard.press("ArrowLeft")
        page.evaluate("new Promise(requestAnimationFrame)")
        assert page.evaluate(SNAPSHOT) == state
    for time in random.Random(1).choices(range(len(states)), k=20):
        go(page, time)
        assert page.evaluate(SNAPSHOT) == states[time]


def test_the_chain_rule_is_written_with_its_numbers(show):
    page = show(expression(pure_python))
    lines = []
    for time in range(end(page) + 1):
        go(page, time)
        lines.append(line(page))
    assert lines == [
        "The leaves hold their data.",
        "v1 = a × b = 2.0 × (-3.0) = -6.0",
        "v2 = a × a = 2.0 × 2.0 = 4.0",
        "v3 = v1 + v2 = -6.0 + 4.0 = -2.0",
        "y = v3 × 0.5 = -2.0 × 0.5 = -1.0",
        "y.grad = 1.0",
        "v3.grad += local × above = 0.5 × 1.0 = 0.5",
        "v1.grad += local × above = 1.0 × 0.5 = 0.5",
        "v2.grad += local × above = 1.0 × 0.5 = 0.5",
        "a.grad += local × above = 2.0 × 0.5 = 1.0",
        "a.grad += local × above = 2.0 × 0.5 = 1.0",
        "a.grad += local × above = -3.0 × 0.5 = -1.5",
        "b.grad += local × above = 2.0 × 0.5 = 1.0",
    ]
    assert page.locator(".edge.local").count() == 1, "the step's edge is lit up"
    assert "∂v1/∂b" in page.inner_text("#rule .note")
    for time, which in (
        (9, "first"),
        (10, "second"),
    ):  # 2.0 is the share of one factor: da²/da is 4.0
        go(page, time)
        assert f"∂v2/∂({which} a) of v2 = a × a" in page.inner_text("#rule .note")


def test_keyboard(show):
    page = show(expression(pure_python))
    page.keyboard.press("End")
    page.wait_for_function("document.getElementById('scrub').valueAsNumber === 12")
    page.keyboard.press("Home")
    page.wait_for_function("document.getElementById('scrub').valueAsNumber === 0")
    page.select_option("#speed", "300")
    page.locator("#speed").blur()
    page.keyboard.press("Space")
    page.wait_for_function("document.getElementById('scrub').valueAsNumber === 12")
    assert page.get_attribute("#play", "aria-label") == "Play", "it stops at the end"
    page.focus("#n0")
    page.keyboard.press("Enter")
    assert page.inner_text("#panel h2") == "a"
    page.keyboard.press("Escape")
    assert not page.locator("#panel").is_visible()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.type("b ")
    page.keyboard.press("Home")
    assert page.input_value("#scrub") == "12", "what is typed into the search steers nothing"


def test_controls(show):
    page = show(expression(pure_python))
    for button, time in (("forward", 1), ("forward", 2), ("back", 1), ("last", 12), ("first", 0)):
        page.click(f"#{button}")
        page.wait_for_function(f"document.getElementById('scrub').valueAsNumber === {time}")
    page.select_option("#speed", "15")
    page.click("#play")
    assert page.get_attribute("#rule", "aria-live") == "off"
    page.wait_for_function("document.getElementById('scrub').valueAsNumber > 2")
    page.click("#play")
    page.evaluate("new Promise(requestAnimationFrame)")
    stopped = page.input_value("#scrub")
    page.wait_for_timeout(200)
    assert page.input_value("#scrub") == stopped
    assert page.get_attribute("#rule", "aria-live") == "polite"
    page.click("#n0")
    page.click("#panel li button >> nth=-3")  # a contribution leads to its step
    page.wait_for_function("document.querySelector('#rule .line').innerText.startsWith('a.grad')")


def test_hovering_shows_formula_and_operands(show):
    page = show(expression(pure_python))
    go(page, end(page))
    page.hover("#n2")
    text = page.inner_text("#tooltip")
    assert text.splitlines()[0] == "v1 = a × b" and "2.0 × (-3.0)" in text and "0.5" in text


def test_folding(show):
    page = show(network(pure_python, (16, 16, 1)))
    assert page.locator(".box").count() == 35 and page.locator(".cluster").count() == 2
    go(page, end(page) * 2 // 3)
    line_before = line(page)
    page.locator("#g1 .knob").click()
    page.wait_for_selector("#g1", state="detached")
    assert page.locator(".box").count() == 34 + 8 and line(page) == line_before
    page.keyboard.press("0")
    page.locator(".fold", has_text="neuron 1.1").first.click()
    page.wait_for_selector("#g1")
    assert page.locator(".box").count() == 35
    page.select_option("#folding select", "2")
    page.wait_for_function("document.querySelectorAll('.box').length === 5")
    assert page.locator("#g0 .data").text_content() == "16 of 16"
    unfold_all(page)
    nodes = page.evaluate("JSON.parse(document.getElementById('graph').textContent).nodes.length")
    page.keyboard.press("0")  # of a large drawing only what is seen is in the page
    assert page.locator(".box").count() == nodes > 900


def test_search(show):
    """By label; what is folded is unfolded where the search leads to."""
    page = show(network(pure_python, (16, 16, 1)))
    page.fill("#search input", "W200")
    assert page.inner_text("#search output") == "1 node" and page.locator(".box.match").count() == 1
    page.press("#search input", "Enter")
    page.wait_for_selector("#panel h2:text('w200')")
    page.fill("#search input", "nothing like it")
    assert page.inner_text("#search output") == "none" and page.locator(".match").count() == 0


HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "{{css}} ${1} \\u003c",
    '" onload="alert(1)',
    "a\u202eb\n\tc\x00",
    "\ud800 " + "long " * 200,
]


def test_hostile_labels(show):
    """Shown as they are; none becomes markup or script."""
    values = [Value(1.5, label=label) for label in HOSTILE]
    total = sum(values)
    total.label = HOSTILE[0]
    page = show(total)
    go(page, end(page))
    assert page.locator("img").count() == 0 and page.locator("script").count() == 2
    for i, label in enumerate(HOSTILE):
        (place,) = page.evaluate(
            f"JSON.parse(document.getElementById('graph').textContent).nodes.flatMap((n, p) => "
            f"n.name === {json.dumps(label)} && !n.op ? [p] : [])"
        )
        page.locator(f"#n{place}").dispatch_event("click")
        page.locator(f"#n{place}").dispatch_event("pointerenter", {"pointerType": "mouse"})
        assert page.evaluate("document.querySelector('#panel h2').textContent") in (
            label,
            label.replace("\ud800", "\ufffd"),
        ), f"label {i}"
    assert page.title() == f"Backpropagation: {HOSTILE[0]}"


def test_numbers_that_are_no_numbers(show):
    page = show(Value(math.inf, label="big") * Value(0.0, label="zero") + Value(-0.0, label="m"))
    go(page, end(page))
    texts = page.locator(".box text:is(.data, .grad)").all_text_contents()
    assert {"inf", "nan", "0.0", "-0.0", "1.0"} <= set(texts)


@pytest.mark.parametrize("root", [Value(2.0), [Value(1.0), Value(2.0)]], ids=["a leaf", "leaves"])
def test_graphs_of_leaves(show, root):
    page = show(root)
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('.grad').textContent === '1.0'")


def test_a_notebook_shows_the_page(page, tmp_path):
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html>{explore(network(pure_python))._repr_html_()}")
    page.goto(notebook.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("html[data-ready]").wait_for()
    frame.locator("#last").click()
    frame.locator(".box.root .grad", has_text="1.0").wait_for()


# Every text of the page that sticks out of its box, and every control that is not wholly seen.
CUT = """
() => [
  ...[...document.querySelectorAll(".box")].flatMap((box) => {
    const frame = box.querySelector(".frame").getBBox();
    return [...box.querySelectorAll("text")].filter((text) => {
      const t = text.getBBox();
      return t.x < 0 || t.x + t.width > frame.width + 0.5 || t.y < -1 || t.y + t.height > frame.height + 1;
    }).map((text) => `${box.id}: ${text.textContent}`);
  }),
  ...[...document.querySelectorAll("button, select, input, #rule p, footer li, h1")].filter((part) => {
    const r = part.getBoundingClientRect();
    return r.width && (r.left < 0 || r.right > innerWidth || r.top < 0 || r.bottom > innerHeight);
  }).map((part) => part.outerHTML),
  ...(document.documentElement.scrollWidth > innerWidth ? ["the page is too wide"] : []),
]
"""
# Pairs of boxes that lie upon each other.
OVERLAPS = """
() => {
  const boxes = [...document.querySelectorAll(".box .frame")].map((frame) => frame.getBoundingClientRect());
  return boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) =>
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)).length;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("graph", [expression, network, batch])
def test_nothing_is_cut_and_nothing_overlaps(show, page, graph, width, scheme):
    page.set_viewport_size({"width": width, "height": 844 if width == 390 else 800})
    page.emulate_media(color_scheme=scheme)
    show(graph(pure_python))
    assert page.get_attribute("html", "data-theme") == scheme
    for time in (0, end(page) // 3, end(page) // 2, end(page)):
        go(page, time)
        page.keyboard.press("0")  # all is seen, so all is measured
        assert page.evaluate(CUT) == [] and page.evaluate(OVERLAPS) == 0
    page.click("#theme")
    assert page.get_attribute("html", "data-theme") != scheme


def test_buttons_have_names(show):
    page = show(network(pure_python))
    page.locator("#n0").dispatch_event("click")
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, [role=button], select, input")].filter((part) =>
          !(part.getAttribute("aria-label") ?? part.textContent).trim()).length"""
    )
    assert unnamed == 0


def test_printing(show):
    """On paper: the whole graph and the step in words, without the controls."""
    page = show(network(pure_python))
    go(page, end(page))
    page.emulate_media(media="print")
    assert not page.locator("#controls").is_visible() and page.locator("#rule").is_visible()
    assert page.pdf().startswith(b"%PDF")


# Targets: 1.2 MB and 1.5 s with 300 nodes, 30 frames a second at 2,000. The times are asserted with
# room for a machine that does other things too.


def test_size_and_time_to_ready(page, tmp_path, capsys):
    v = Value(1.0)
    for i in range(50):
        v = (v * Value(0.9) + Value(float(i)) / 7.0).tanh()
    written = explore(v, tmp_path / "backprop.html")
    assert 290 <= written.nodes <= 310
    size = (tmp_path / "backprop.html").stat().st_size
    times = []
    for _ in range(3):
        page.goto((tmp_path / "backprop.html").as_uri())
        page.wait_for_selector("html[data-ready]")
        times.append(page.evaluate("performance.getEntriesByName('ready')[0].startTime"))
    with capsys.disabled():
        print(f"\n300 nodes: {size / 1e6:.2f} MB, ready after {statistics.median(times):.0f} ms")
    assert size <= 1.2e6 and min(times) <= 1500 * 2


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "unfolded"])
def test_frames_a_second(show, folded, capsys):
    page = show(MLP(2, [23, 23, 1], activation="tanh", seed=1)([Value(1.0), Value(2.0)]))
    if folded:
        assert page.locator(".box").count() <= 300
    else:
        unfold_all(page)
        assert page.input_value("#folding select") == "0"
    go(page, end(page) // 2)
    rates = {action: page.evaluate(FRAMES, action) for action in ("step", "scrub")}
    with capsys.disabled():
        print(f"\n2,000 nodes: {rates['step']:.0f} and {rates['scrub']:.0f} frames a second")
    # Unfolded it paints more at once, so other programs slow it down more.
    assert min(rates.values()) >= (30 / 2 if folded else 30 / 4)
