"""The playground as a person uses it: every control, a thousand random actions, and its speed."""

import base64
import contextlib
import json
import random
import signal
import struct
import subprocess
import sys
import time

import pytest
from playwright.sync_api import TimeoutError

from cases.contract import ACTIVATIONS
from playground_pages import PATIENCE, started
from pure_python.playground.points import generated
from pure_python.playground.settings import Settings
from pure_python.playground.trainer import FRAMES_PER_SECOND
from pure_python.playground.training import Training

# Errors that the page may be told: what was asked for cannot be, and nothing has changed.
TOLD = ("no points to learn from", "diverged", "others by now", "no room")


class Window:
    """A page of a playground in the browser."""

    def __init__(self, page, url):
        self.page = page
        page.goto(url)
        self.until("playground.painted > 0")

    def ask(self, expression):
        return self.page.evaluate(expression)

    def until(self, expression):
        """Wait until an expression holds. The page's policy forbids wait_for_function."""
        end = time.monotonic() + PATIENCE
        while not (found := self.ask(expression)):
            assert time.monotonic() < end, f"{expression}; errors: {self.ask('playground.errors')}"
            time.sleep(0.02)
        return found

    def settings(self):
        return self.ask("playground.state.settings")

    def frame(self):
        """The newest frame without its arrays, once it is one of the present settings."""
        newest = "playground.frames[playground.state.settings.backend]"
        self.until(f"{newest}?.revision === playground.state.revision")
        return self.ask(
            f"Object.fromEntries(Object.entries({newest}).filter(([, x]) => !ArrayBuffer.isView(x)))"
        )

    def wait_for(self, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"errors: {self.ask('playground.errors')}"
            time.sleep(0.02)

    def at(self, x, y):
        """Where a place of the plane is on the screen."""
        box = self.page.locator("#plane").bounding_box()
        return (
            box["x"] + (x + 1.5) / 3 * box["width"],
            box["y"] + (1.5 - y) / 3 * box["height"],
        )


@pytest.fixture
def window(chromium, request):
    """A function that opens the playground of a backend in a page of a given size."""
    opened = []

    def open_window(backend, width=1280, height=800, **options):
        running = started(backend)
        playground = running.__enter__()
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(1000 * PATIENCE)
        wrong = []
        opened.append((running, playground, context, wrong))
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda m: m.type == "error" and wrong.append(f"console: {m.text}"))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((playground.url, "data:", "blob:"))
                or wrong.append(f"asks {request.url}")
            ),
        )
        window = Window(page, playground.url)
        window.playground = playground
        return window

    yield open_window
    for running, playground, context, wrong in opened:
        context.close()
        playground.process.send_signal(signal.SIGINT)
        said = playground.process.communicate(timeout=PATIENCE)[1]
        running.__exit__(None, None, None)
        assert not wrong and not said, "\n".join([*wrong, said])


# Each control --------------------------------------------------------------------------------


def test_play_pause_step_reset_and_speed(window):
    w = window("cython_core")
    page = w.page
    page.click("#step")
    w.wait_for(lambda: w.frame()["step"] == 1)
    page.click("#play")
    w.until("document.getElementById('play').innerText.trim() === 'Pause'")
    w.wait_for(lambda: w.frame()["step"] > 20)
    page.keyboard.press("Space")
    w.until("!playground.state.running")
    w.wait_for(lambda: not w.frame()["running"])
    steps = w.frame()["step"]
    w.wait_for(lambda: page.inner_text("#read-step") == f"{steps:,}")
    page.keyboard.press("s")
    w.wait_for(lambda: w.frame()["step"] == steps + 1)
    page.keyboard.press("r")
    w.wait_for(lambda: w.frame()["step"] == 0)
    page.select_option("#speed", "0")
    page.click("#play")
    w.wait_for(lambda: w.frame()["rate"] > 150)  # more than the 100 a second of before
    assert w.ask("playground.errors") == []


@pytest.mark.parametrize(
    ("control", "value", "setting"),
    [
        ("#lr", "0.1", ("lr", 0.1)),
        ("#batch_size", "1000", ("batch_size", 1000)),
        ("#optimizer", "sgd", ("optimizer", "sgd")),
        ("#weight_decay", "0.01", ("weight_decay", 0.01)),
        ("#loss", "max-margin", ("loss", "max-margin")),
        ("#activation", "relu", ("activation", "relu")),
        ("#backend", "numpy_vectorized", ("backend", "numpy_vectorized")),
    ],
)
def test_settings_change_while_it_runs(window, control, value, setting):
    """They are taken at once, and the training goes on from where it was."""
    w = window("cython_core")
    w.page.click("#play")
    w.wait_for(lambda: w.frame()["step"] > 10)
    before = w.frame()["step"]
    w.page.select_option(control, value)
    w.wait_for(lambda: w.settings()[setting[0]] == setting[1])
    assert w.ask("playground.state.running")
    w.wait_for(lambda: w.frame()["step"] > before + 5)
    assert w.frame()["backend"] == w.settings()["backend"] and w.ask("playground.state.running")
    assert w.page.input_value(control) == value


def test_every_activation_can_be_chosen(window):
    w = window("cython_core")
    values = "[...document.getElementById('activation').options].map((o) => o.value)"
    assert tuple(w.ask(values)) == ACTIVATIONS
    assert w.page.input_value("#activation") == w.settings()["activation"] == "tanh"


def test_another_seed_or_first_weights_begin_anew(window):
    w = window("cython_core")
    for act in (
        lambda: w.page.select_option("#init", "he"),
        lambda: (w.page.fill("#seed", "7"), w.page.press("#seed", "Enter")),
    ):
        w.page.click("#step")
        w.wait_for(lambda: w.frame()["step"] == 1)
        act()
        w.wait_for(lambda: w.frame()["step"] == 0)
    assert (w.settings()["init"], w.settings()["seed"]) == ("he", 7)
    w.page.fill("#seed", "-3")
    w.page.press("#seed", "Enter")
    assert w.page.input_value("#seed") == "7"


def test_the_network(window):
    w = window("cython_core")
    page = w.page
    page.click("#more-layers")
    w.wait_for(lambda: w.frame()["sizes"] == [2, 8, 8, 8, 1])
    page.click("[data-neurons='2 -1']")
    page.click("[data-neurons='0 1']")
    w.wait_for(lambda: w.frame()["sizes"] == [2, 9, 8, 7, 1])
    for layers in (2, 1, 0):
        page.click("#fewer-layers")
        w.wait_for(lambda layers=layers: len(w.frame()["sizes"]) == layers + 2)
    assert page.is_disabled("#fewer-layers")
    page.click("#more-layers")
    w.wait_for(lambda: w.frame()["sizes"] == [2, 8, 1])
    # Pointing at a neuron shows its response large.
    box = page.locator("#network-canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 20)
    w.until("document.getElementById('plane-title').textContent.includes('layer 1, neuron')")
    page.mouse.move(5, 5)
    w.until("document.getElementById('plane-title').textContent === 'Decision'")


def test_data_sets(window):
    w = window("cython_core")
    for name, classes in (("circles", 2), ("xor", 2), ("spiral", 2), ("moons", 2)):
        w.page.click(f"[data-dataset={name}]")
        w.wait_for(lambda name=name: w.settings()["dataset"] == name)
        w.until("playground.points.length === 200")
        assert w.frame()["sizes"][-1] == (1 if classes == 2 else classes)
    w.page.click("[data-dataset=spiral]")
    for control, value in (("samples", "300"), ("noise", "0.3"), ("classes", "4")):
        w.wait_for(lambda control=control: w.page.is_enabled(f"#{control}"))
        w.page.fill(f"#{control}", value)
        w.wait_for(lambda c=control, v=value: w.settings()[c] == float(v))
    w.until("playground.points.length === 300")
    w.wait_for(lambda: w.frame()["sizes"][-1] == 4)
    w.page.click("[data-dataset=own]")
    w.until("playground.points.length === 0")


def test_points_by_mouse(window):
    w = window("cython_core")
    page = w.page
    page.click("[data-dataset=own]")
    w.until("playground.points.length === 0")
    page.mouse.click(*w.at(-1, 1))
    page.click("#brushes button:nth-child(1)")
    page.mouse.click(*w.at(1, 1))
    page.click("#brushes button:nth-child(3)")
    page.mouse.click(*w.at(0, -1))
    w.until("playground.state.count === 3")
    classes = [k for _, _, k in w.ask("playground.points")]
    assert classes == [1, 0, 2]
    w.wait_for(lambda: w.frame()["sizes"][-1] == 3)
    # Drag.
    page.mouse.move(*w.at(0, -1))
    page.mouse.down()
    page.mouse.move(*w.at(0.3, -0.5), steps=6)
    page.mouse.move(*w.at(0.5, -0.2))
    page.mouse.up()
    x, y, _ = w.ask("playground.points[2]")
    assert abs(x - 0.5) < 0.02 and abs(y + 0.2) < 0.02
    # Recolour, delete.
    page.click("[data-tool=recolour]")
    page.click("#brushes button:nth-child(1)")
    page.mouse.click(*w.at(0.5, -0.2))
    w.wait_for(lambda: w.frame()["sizes"][-1] == 1)
    page.click("[data-tool=delete]")
    page.mouse.click(*w.at(1, 1))
    w.until("playground.state.count === 2")
    # What the server has is what the page shows.
    session = w.ask("playground.session")
    names = {}
    exec(w.playground.get(f"{session}/playground.py")[2], names)
    shown = w.ask("playground.points")
    assert names["X"] == [(x, y) for x, y, _ in shown]
    assert names["classes"] == [k for *_, k in shown] == [1, 0]


@pytest.mark.parametrize("tool", ["add", "recolour", "delete"])
def test_other_points_under_the_hand(window, tool):
    """A point that is held when the points are replaced by others is let go."""
    w = window("cython_core")
    page = w.page
    x, y, _ = w.ask("playground.points").pop()
    page.click(f"[data-tool={tool}]")
    page.mouse.move(*w.at(x, y))
    page.mouse.down()
    w.ask("document.querySelector('[data-dataset=own]').click()")
    w.until("playground.points.length === 0")
    if tool == "add":
        page.mouse.move(*w.at(x + 0.3, y), steps=3)
    page.mouse.up()
    assert w.ask("playground.points") == []


def test_points_by_keyboard(window):
    w = window("cython_core")
    w.page.focus("#plane")
    first = w.ask("playground.points[0]")
    for key in ("n", "ArrowUp", "ArrowRight", "3"):
        w.page.keyboard.press(key)
    x, y, k = w.ask("playground.points[0]")
    assert (x - first[0], y - first[1], k) == pytest.approx((0.02, 0.02, 2))
    w.page.keyboard.press("Delete")
    w.until("playground.state.count === 199")


def test_a_csv_file(window, tmp_path):
    w = window("cython_core")
    rows = "\n".join(f"{i},{i % 7},{i * 1.5},{'ab'[i % 2]}" for i in range(60))
    (tmp_path / "table.csv").write_text(f"id,x,y,kind\n{rows}\n")
    w.page.set_input_files("#csv", tmp_path / "table.csv")
    w.until("playground.points.length === 60")
    assert "table.csv: 60 rows" in w.page.inner_text("#columns legend")
    w.page.select_option("#column-x", "y")
    w.until("playground.axes[0] === 'y'")
    (tmp_path / "broken.csv").write_text("a,b,c\n1,2\n")
    w.page.set_input_files("#csv", tmp_path / "broken.csv")
    w.until("playground.errors.length === 1")
    assert "broken.csv, line 2" in w.page.inner_text("#message")
    assert w.ask("playground.points.length") == 60
    w.page.click("#dismiss")
    assert not w.page.is_visible("#message")


def test_the_graph_of_a_point(window):
    """Double-click: the page of `explore` for the loss of that point, in a dialog."""
    w = window("cython_core")
    w.page.click("#step")
    w.wait_for(lambda: w.frame()["step"] == 1)
    x, y, _ = w.ask("playground.points[4]")
    w.page.mouse.dblclick(*w.at(x, y))
    w.until("document.getElementById('graph').open")
    inner = w.page.frame_locator("#graph-frame iframe")
    inner.locator("svg .fold").first.wait_for(timeout=1000 * PATIENCE)
    assert inner.locator("svg g").count() > 50
    w.page.click("#close-graph")
    w.until("!document.getElementById('graph').open")


def test_the_exports(window, tmp_path):
    w = window("pure_python")
    page = w.page
    page.click("[data-dataset=xor]")
    page.click("#play")
    w.wait_for(lambda: w.frame()["step"] > 25)
    page.click("#play")
    w.wait_for(lambda: not w.frame()["running"] and w.frame()["side"] == 64)
    files = {}
    for name in ("weights", "script", "picture"):
        page.click("#export summary")
        with page.expect_download() as download:
            page.click(f"#export-{name}")
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        files[name] = path
    assert [path.name for path in files.values()] == [
        "weights.safetensors", "playground.py", "playground.png",
    ]  # fmt: skip
    done = subprocess.run([sys.executable, files["script"]], capture_output=True, text=True)
    assert float(done.stdout) == w.frame()["loss"], done.stderr
    png = files["picture"].read_bytes()
    assert png.startswith(b"\x89PNG") and struct.unpack(">II", png[16:24]) == (1600, 860)


def test_side_by_side(window):
    """Three times the same decision, and what the page says of the losses."""
    w = window("cython_core")
    w.page.click("#compare")
    w.until("playground.state.comparing")
    assert w.page.locator("#planes figure").count() == 3
    w.page.click("#play")
    w.until("Object.keys(playground.frames).length === 3")
    w.until("Object.values(playground.frames).every((f) => f.step > 100 && f.rate > 0)")
    same = "cython_core and pure_python: the same losses to the last bit"
    w.wait_for(lambda: same in w.page.inner_text("#verdict"))
    w.wait_for(lambda: w.page.locator("#planes b").first.inner_text().endswith("steps/s"))
    w.page.click("#compare")
    w.until("!playground.state.comparing && Object.keys(playground.frames).length === 1")


def test_light_and_dark(window):
    w = window("cython_core", color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = w.ask(ground)
    w.page.click("#theme")
    assert w.ask(ground) != dark
    w.page.click("#theme")
    assert w.ask(ground) == dark


# What sticks out to the right, lies on its neighbour, or is cut.
FAULTS = """
(() => {
  const seen = [...document.querySelectorAll("button, select, input, label, h1, h2, output, canvas, a, p")]
    .filter((e) => e.checkVisibility() && !e.closest("details:not([open]) .menu"));
  const name = (e) => e.id || e.className || e.textContent.trim().slice(0, 20) || e.tagName;
  const faults = [];
  if (document.documentElement.scrollWidth > innerWidth) faults.push("the page is wider than the window");
  for (const e of seen) {
    const box = e.getBoundingClientRect();
    if (box.left < -1 || box.right > innerWidth + 1) faults.push(`${name(e)} sticks out`);
    if (["BUTTON", "H1"].includes(e.tagName) && e.scrollWidth > e.clientWidth + 1) faults.push(`${name(e)} is cut`);
    if (e.tagName === "OUTPUT" && e.scrollWidth > e.clientWidth + 1) faults.push(`${name(e)} is cut`);
  }
  const leaves = seen.filter((e) => ["BUTTON", "SELECT", "INPUT", "CANVAS"].includes(e.tagName) && !e.closest("label.file"));
  for (const [i, a] of leaves.entries()) {
    for (const b of leaves.slice(i + 1)) {
      if (a.contains(b) || b.contains(a)) continue;
      const [p, q] = [a.getBoundingClientRect(), b.getBoundingClientRect()];
      const [dx, dy] = [Math.min(p.right, q.right) - Math.max(p.left, q.left), Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top)];
      if (dx > 1 && dy > 1) faults.push(`${name(a)} lies on ${name(b)}`);
    }
  }
  return faults;
})()
"""


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1024, 768), (768, 1024), (390, 844)])
def test_nothing_overlaps_or_is_cut(window, width, height):
    w = window("cython_core", width, height)
    w.page.click("[data-dataset=spiral]")
    w.wait_for(lambda: w.page.is_enabled("#classes"))
    w.page.fill("#classes", "6")
    w.ask("playground.change({ hidden: [16, 16, 16, 16, 16], speed: 0 })")
    w.page.click("#play")
    w.wait_for(lambda: w.frame()["step"] > 1000)
    # The bar stays at the top while the page scrolls below it.
    w.ask("document.querySelector('header').style.position = 'static'")
    assert w.ask(FAULTS) == []
    if width > 1000:
        w.page.click("#compare")
        w.until("playground.state.comparing")
        w.until("Object.keys(playground.frames).length === 3")
        assert w.ask(FAULTS) == []


# Anything ------------------------------------------------------------------------------------


def test_a_thousand_random_actions(window):
    """No error in the page, none that it should not be told, and all goes on afterwards."""
    w = window("cython_core")
    page, draw = w.page, random.Random(1337)
    selects = "lr batch_size optimizer weight_decay loss activation init speed backend".split()

    def choose():
        name = draw.choice(selects)
        values = w.ask(f"[...document.getElementById('{name}').options].map((o) => o.value)")
        page.select_option(f"#{name}", draw.choice(values))

    def slide():
        name, low, high, step = draw.choice(
            [("samples", 10, 400, 10), ("noise", 0, 0.5, 0.01), ("classes", 2, 6, 1)]
        )
        value = low + step * draw.randrange(round((high - low) / step) + 1)
        w.ask(
            f"""(() => {{
              const slider = document.getElementById("{name}");
              if (slider.disabled) return;
              slider.value = {value};
              slider.dispatchEvent(new Event("input"));
            }})()"""
        )

    def press(selector):
        with contextlib.suppress(TimeoutError):  # it was disabled, which is all right
            page.click(selector, timeout=500)

    def click_plane():
        page.mouse.click(*w.at(draw.uniform(-1.45, 1.45), draw.uniform(-1.4, 1.45)))

    def drag():
        points = w.ask("playground.points")
        if points:
            x, y, _ = draw.choice(points)
            page.mouse.move(*w.at(x, y))
            page.mouse.down()
            page.mouse.move(*w.at(draw.uniform(-1, 1), draw.uniform(-1, 1)), steps=3)
            page.mouse.up()

    def neurons():
        buttons = page.locator("#columns-of-neurons button:not([disabled])")
        with contextlib.suppress(TimeoutError):
            buttons.nth(draw.randrange(buttons.count() or 1)).click(timeout=500)

    def brush():
        buttons = page.locator("#brushes button")
        with contextlib.suppress(TimeoutError):
            buttons.nth(draw.randrange(buttons.count())).click(timeout=500)

    def hostile():
        text = draw.choice(
            ["{", "[]", '{"type": "run"}', '{"type": "settings", "changes": {"lr": -1}}']
        )
        hostile.sent += 1
        w.ask(f"playground.socket.send({json.dumps(text)})")

    hostile.sent = 0

    def unexpected():
        return [e for e in w.ask("playground.errors") if not any(part in e for part in TOLD)]

    def settle():
        """Send what waits for an animation frame, and one thing more: its answer is the last."""
        w.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        hostile()
        w.wait_for(lambda: len(unexpected()) >= hostile.sent)

    actions = [
        (choose, 22),
        (slide, 10),
        (lambda: press(draw.choice(["#play", "#play", "#step", "#reset"])), 18),
        (lambda: press(f"[data-dataset={draw.choice(['moons', 'circles', 'xor', 'spiral', 'own'])}]"), 6),
        (lambda: press(f"[data-tool={draw.choice(['add', 'add', 'recolour', 'delete'])}]"), 5),
        (click_plane, 14),
        (drag, 8),
        (brush, 4),
        (neurons, 6),
        (lambda: press(draw.choice(["#fewer-layers", "#more-layers"])), 3),
        (lambda: press("#theme"), 1),
        (lambda: press("#compare"), 1),
        (hostile, 2),
        (lambda: page.keyboard.press(draw.choice(["Space", "s", "r", "n", "ArrowLeft", "Delete"])), 4),
    ]  # fmt: skip
    doings, weights = zip(*actions, strict=True)
    for doing in draw.choices(doings, weights, k=1000):
        doing()
    settle()
    if w.ask("playground.state.comparing"):
        page.click("#compare")
        settle()
    broken = [e for e in unexpected() if "message" in e or "lr is a number" in e]
    assert len(broken) == len(unexpected()) == hostile.sent, set(unexpected())
    assert not w.ask("playground.state.comparing")
    # The page shows the points that the server has, and they can be learnt.
    session = w.ask("playground.session")
    before = w.ask("playground.state.revision")
    page.click("#reset")
    w.ask(
        "playground.change({ lr: 0.01, optimizer: 'adam', loss: 'cross-entropy', dataset: 'moons' })"
    )
    w.until(f"playground.state.revision === {before} + 2")
    w.frame()  # after which nothing more is said of a run that has diverged before
    assert w.settings()["dataset"] == "moons"
    if not w.ask("playground.state.running"):
        page.click("#play")
    w.wait_for(lambda: w.frame()["step"] > 0 and w.frame()["running"])
    names = {}
    exec(w.playground.get(f"{session}/playground.py")[2].decode().partition("batches =")[0], names)
    assert names["X"] == [(x, y) for x, y, _ in w.ask("playground.points")]


# Its end -------------------------------------------------------------------------------------


def test_closing_the_page_ends_every_process(window):
    w = window("cython_core")
    w.page.click("#play")
    w.wait_for(lambda: w.frame()["step"] > 3)
    assert w.playground.note_processes()
    w.page.close()
    assert w.playground.process.wait(PATIENCE) == 0
    assert not w.playground.remaining()


def test_ctrl_c_ends_every_process_and_the_page_says_so(window):
    w = window("cython_core")
    w.page.click("#play")
    w.wait_for(lambda: w.frame()["step"] > 3)
    w.playground.note_processes()
    w.playground.process.send_signal(signal.SIGINT)
    assert w.playground.process.wait(PATIENCE) == 0
    assert not w.playground.remaining()
    w.until("document.getElementById('ended').checkVisibility()")
    assert "python -m cython_core playground" in w.page.inner_text("#ended")


def test_another_page_in_the_browser_gets_nothing(window, chromium, tmp_path):
    """A page from elsewhere can neither read nor open a socket, even if it has the address."""
    w = window("cython_core")
    context = chromium.new_context()
    try:
        page = context.new_page()
        (tmp_path / "foreign.html").write_text("<!doctype html><title>foreign</title>")
        page.goto((tmp_path / "foreign.html").as_uri())
        socket = w.playground.url.replace("http", "ws", 1) + "socket"
        opened = page.evaluate(
            "(url) => new Promise((done) => { const s = new WebSocket(url);"
            " s.onopen = () => done('open'); s.onerror = () => done('refused'); })",
            socket,
        )
        read = page.evaluate(
            "(url) => fetch(url).then((a) => a.text()).catch(() => 'refused')", w.playground.url
        )
        assert (opened, read) == ("refused", "refused")
    finally:
        context.close()


# Its speed -----------------------------------------------------------------------------------
#
# As shares of what the machine gives at that moment: tests share it, and a browser without a graphics
# card draws on the cores that train.


def prepared(window, backend, **changes):
    w = window(backend)
    w.ask(f"playground.change({json.dumps({'samples': 500, 'speed': 0} | changes)})")
    w.wait_for(lambda: w.frame()["sizes"] == [2, *changes["hidden"], 1])
    return w


def test_frames_and_steps_a_second(backend, window, capsys):
    """Beside a training without a page, and beside the frames that the browser can show."""
    w = prepared(window, backend.name, hidden=[16, 16])
    settings = Settings(samples=500, hidden=(16, 16), backend=backend.name)
    alone = Training(settings, generated("moons", 500, settings.noise, 2, settings.seed))
    w.page.click("#play")
    w.wait_for(lambda: w.frame()["step"] > 20)
    w.ask(
        "globalThis.ticks = 0; requestAnimationFrame(function tick() "
        "{ ticks += 1; requestAnimationFrame(tick); })"
    )
    newest = "playground.frames[playground.state.settings.backend].step"
    state = f"[performance.now() / 1000, playground.painted, {newest}, ticks]"
    before = w.ask(state)
    end = time.monotonic() + 4.0
    while time.monotonic() < end:
        alone.update(alone.gradients())
    passed, frames, steps, ticks = [y - x for x, y in zip(before, w.ask(state), strict=True)]
    with capsys.disabled():
        print(
            f"\n{backend.name}: {frames / passed:.1f} frames/s shown of {ticks / passed:.1f}, "
            f"{steps / passed:,.0f} steps/s, {steps / alone.step:.2f} of those without a page",
            end=" ",
        )
    assert frames > 0.25 * min(ticks, FRAMES_PER_SECOND * passed)
    assert steps > 0.15 * alone.step


def answer_times(w):
    """Seconds from a change of the learning rate to a picture that knows of it, the median of 11."""
    times = w.ask(
        """(async (patience) => {
          const times = [];
          for (let i = 0; i < 11; i++) {
            const before = playground.state.revision;
            const began = performance.now();
            playground.change({ lr: i % 2 ? 0.01 : 0.011 });
            const waiting = () => playground.frames.pure_python.revision <= before
              && performance.now() < began + patience;
            while (waiting()) await new Promise(requestAnimationFrame);
            times.push((performance.now() - began) / 1000);
            await new Promise((done) => setTimeout(done, 60));
          }
          return times.sort((a, b) => a - b);
        })"""
        f"({1000 * PATIENCE})"
    )
    return times[5]


def test_controls_are_answered_between_short_steps(window, capsys):
    """About as soon as while it stands, when the losses of all points are computed for a picture."""
    w = prepared(window, "pure_python", hidden=[16, 16])
    standing = answer_times(w)
    w.page.click("#play")
    w.wait_for(lambda: w.frame()["step"] > 20)
    running = answer_times(w)
    with capsys.disabled():
        print(
            f"\nanswers in {standing:.3f} s while it stands, {running:.3f} s while it runs", end=" "
        )
    assert running < 3 * standing


def test_controls_are_answered_in_the_middle_of_a_long_step(window, capsys):
    w = prepared(window, "pure_python", hidden=[16] * 5, samples=1000, batch_size=1000)
    w.page.click("#play")
    w.wait_for(lambda: w.frame()["step"] > 0)
    began, steps = time.monotonic(), w.frame()["step"]
    w.wait_for(lambda: w.frame()["step"] >= steps + 2)
    step = (time.monotonic() - began) / (w.frame()["step"] - steps)
    running = answer_times(w)
    with capsys.disabled():
        print(f"\nanswers in {running:.3f} s while a step takes {step:.3f} s", end=" ")
    assert running < 0.75 * step


def test_messages_are_answered_quickly_while_a_csv_is_read(window):
    w = window("cython_core")
    rows = "\n".join(f"{i},{i % 11},{i % 2}" for i in range(50_000))
    content = base64.b64encode(f"a,b,c\n{rows}\n".encode()).decode()
    assert len(content) < 1_300_000
    w.ask(f"playground.say({{ type: 'csv', name: 'large.csv', content: '{content}' }})")
    w.until("playground.points.length === 1000")
