"""Who may talk to a playground, what a broken message does to it, and how it ends."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from playground_pages import LINUX, Page, alive, started
from pure_python.playground import command
from pure_python.state import read_safetensors

posix = pytest.mark.skipif(not LINUX, reason="processes are looked up in /proc")


@pytest.fixture(scope="module")
def playground():
    with started("cython_core") as running:
        with Page(running):  # while it is open the others may come and go
            yield running


@pytest.fixture
def visitor(playground):
    with Page(playground) as page:
        yield page


# Who may talk to it --------------------------------------------------------------------------


def test_the_page_and_its_files_are_served(playground):
    for path, kind in (("", "text/html"), ("main.js", "javascript"), ("style.css", "text/css")):
        status, headers, _ = playground.get(path)
        assert status == 200 and kind in headers["content-type"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_the_page_reaches_for_nothing_elsewhere():
    static = Path(command.__file__).parent / "static"
    for file in static.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in text.replace("// ", "").replace("://", "//") or not any(
            scheme in text for scheme in ("https:", "http:")
        ), file.name
        assert "http:" not in text and "https:" not in text, file.name


@pytest.mark.parametrize("path", ["", "wrong/", "{token}x/", "{short}/", "main.js", "//{token}/"])
def test_a_wrong_token_is_refused(playground, path):
    path = path.format(token=playground.token, short=playground.token[:-1])
    assert playground.get(path, url=playground.origin + "/")[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "[::1]:80"])
def test_a_foreign_host_is_refused(playground, host):
    assert playground.get("", {"Host": host})[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1"])
def test_a_foreign_origin_is_refused(playground, origin):
    assert playground.get("", {"Origin": origin})[0] == 403


@pytest.mark.parametrize(
    ("path", "origin", "host"),
    [
        ("socket", "http://evil.example", None),
        ("socket", "null", None),
        ("socket", None, None),
        ("../wrong/socket", "own", None),
        ("../socket", "own", None),
        ("socket", "own", "evil.example"),
    ],
)
def test_a_foreign_socket_is_refused(playground, path, origin, host):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    address = playground.url.replace("http", "ws", 1)
    address = address.rsplit("/", 2)[0] + path[2:] if path.startswith("..") else address + path
    origin = playground.origin if origin == "own" else origin
    headers = {"Host": host} if host else {}
    with pytest.raises(InvalidStatus) as refusal:
        with connect(address, origin=origin, additional_headers=headers):
            pass
    assert refusal.value.response.status_code in (400, 403)


def test_no_path_leads_out_of_the_page(playground):
    for path in ("../server.py", "%2e%2e/server.py", "..%2fserver.py", "/etc/passwd", "static"):
        assert playground.get(path)[0] in (403, 404), path


def test_too_many_pages(playground):
    from websockets.sync.client import connect

    address = playground.url.replace("http", "ws", 1) + "socket"
    with Page(playground), Page(playground), Page(playground):
        with connect(address, origin=playground.origin) as fifth:
            assert "close one of them" in json.loads(fifth.recv(10))["message"]


# Messages ------------------------------------------------------------------------------------


def test_broken_messages_get_an_error_and_change_nothing(visitor):
    visitor.change(hidden=[5])
    before = visitor.state
    broken = ["", "[]", "{", '{"type": "run", "running": 1}', '{"type": "exec", "code": "1"}']
    broken += ['{"type": "settings", "changes": {"lr": -1}}', "[" * 50_000]
    broken += ['{"type": "settings", "changes": {"seed": 3, "backend": "os"}}']
    broken += [
        '{"type": "delete", "data": 0, "index": 999}',
        '{"type": "columns", "x": "a", "y": "b", "target": "c"}',
    ]
    for text in broken:
        assert visitor.refused(text)
    visitor.socket.send(b"\x00\x01")
    visitor.until(lambda: "binary" in visitor.errors[-1])
    visitor.say("compare", on=False)  # nothing to do, so the state is not told anew
    visitor.change(noise=0.11)
    expected = before["settings"] | {"noise": 0.11}
    assert (
        visitor.state["settings"] == expected
        and visitor.state["revision"] == before["revision"] + 1
    )
    assert visitor.frame()["sizes"] == [2, 5, 1]


def test_a_message_that_is_too_large_closes_that_page_alone(playground, visitor):
    from websockets.exceptions import ConnectionClosed

    with Page(playground) as other:
        other.socket.send("x" * 3_000_000)
        with pytest.raises(ConnectionClosed):
            for _ in range(100):
                other.hear()
    visitor.say("step")
    visitor.until(lambda: visitor.frame()["step"] == 1)


def test_a_flood_of_messages(visitor):
    for _ in range(3000):
        visitor.socket.send("{}")
    visitor.until(lambda: len(visitor.errors) == 3000)
    visitor.say("step")
    visitor.until(lambda: visitor.frame()["step"] == 1)


# Training ------------------------------------------------------------------------------------


def test_play_pause_step_and_reset(backend):
    with started(backend.name) as running, Page(running) as page:
        assert page.frame()["step"] == 0 and page.frame()["backend"] == backend.name
        page.say("step")
        page.until(lambda: page.frame()["step"] == 1)
        page.say("run", running=True)
        page.until(lambda: page.frame()["step"] > 30)
        page.say("run", running=False)
        page.until(lambda: not page.state["running"] and not page.frame()["running"])
        paused = page.frame()["step"]
        page.say("step")
        page.until(lambda: page.frame()["step"] == paused + 1)
        assert page.frame()["loss"] < 0.6
        page.say("reset")
        page.until(lambda: page.frame()["step"] == 0)
        page.until(lambda: page.frame()["side"] == 64)  # what stands still is shown finely
        assert not page.errors


def test_speed_is_kept(visitor):
    visitor.change(speed=100)
    visitor.say("run", running=True)
    visitor.until(lambda: visitor.frame()["step"] > 20)
    first, began = visitor.frame()["step"], time.monotonic()
    while time.monotonic() < began + 1.5:
        visitor.hear()
    assert 60 < (visitor.frame()["step"] - first) / 1.5 < 140
    visitor.change(speed=0)
    visitor.until(lambda: visitor.frame()["rate"] > 500)


def test_points_by_hand(visitor):
    visitor.say("settings", changes={"dataset": "own"})
    visitor.until(lambda: visitor.points["points"] == [])
    data = visitor.points["data"]
    visitor.say("run", running=True)
    visitor.until(lambda: visitor.errors and "no points" in visitor.errors[-1])
    for x, y, k in ((0.5, 0.5, 0), (-0.5, 0.5, 1), (0.5, -0.5, 2), (0.1, 0.1, 2)):
        visitor.say("add", data=data, x=x, y=y, **{"class": k})
    visitor.until(lambda: visitor.state["count"] == 4)
    assert visitor.frame()["sizes"][-1] == 3
    visitor.say("delete", data=data, index=3)
    visitor.say("recolour", data=data, index=2, **{"class": 1})
    visitor.say("move", data=data, index=0, x=1.0, y=1.0)
    visitor.until(lambda: visitor.state["count"] == 3 and visitor.frame()["sizes"][-1] == 1)
    visitor.say("move", data=data + 1, index=0, x=1.0, y=1.0)
    visitor.until(lambda: "others by now" in visitor.errors[-1])
    visitor.say("run", running=True)
    visitor.until(lambda: visitor.frame()["step"] > 10 and visitor.frame()["accuracy"] == 1.0)


def test_a_run_that_diverges_says_so_and_goes_on_after_a_reset(visitor):
    visitor.change(optimizer="sgd", lr=10.0, loss="mse", activation="linear", speed=0)
    visitor.say("run", running=True)
    visitor.until(lambda: visitor.errors)
    assert "diverged" in visitor.errors[0] and "reset" in visitor.errors[0].lower()
    visitor.until(lambda: not visitor.state["running"])
    visitor.change(lr=0.01)
    visitor.say("reset")
    visitor.say("run", running=True)
    visitor.until(lambda: visitor.frame()["step"] > 10 and visitor.frame()["running"])


def test_the_exports(playground, visitor, tmp_path):
    visitor.change(speed=0, hidden=[4])
    visitor.say("run", running=True)
    visitor.until(lambda: visitor.frame()["step"] > 50)
    visitor.say("run", running=False)
    visitor.until(lambda: not visitor.frame()["running"])
    session = visitor.hello["session"]
    status, headers, weights = playground.get(f"{session}/weights.safetensors")
    assert status == 200 and "attachment" in headers["content-disposition"]
    (tmp_path / "weights").write_bytes(weights)
    tensors, _ = read_safetensors(tmp_path / "weights")
    assert [len(tensors["layers.0.weight"]), len(tensors["layers.1.bias"])] == [4, 1]
    status, _, script = playground.get(f"{session}/playground.py")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    visitor.until(lambda: visitor.frame()["side"] == 64)
    assert float(done.stdout) == visitor.frame()["loss"]
    assert playground.get("999/playground.py")[0] == 404


def test_side_by_side(visitor):
    """The three from the same seed: pure_python and cython_core have the same losses to the bit."""
    visitor.change(samples=20, hidden=[3])
    visitor.say("compare", on=True)
    visitor.until(lambda: visitor.state["comparing"])
    visitor.say("run", running=True)
    names = visitor.hello["installed"]
    visitor.until(lambda: all(visitor.frame(name)["step"] > 40 for name in names), 40)
    assert {visitor.frame(name)["backend"] for name in names} == set(names)
    visitor.say("compare", on=False)
    visitor.until(lambda: not visitor.state["comparing"])
    visitor.frames.clear()
    visitor.frame()
    assert list(visitor.frames) == ["cython_core"]


# The end -------------------------------------------------------------------------------------


@posix
def test_ctrl_c_ends_every_process(backend):
    with started(backend.name) as running, Page(running) as page:
        page.say("compare", on=True)
        page.until(lambda: len(page.frames) == 3, 40)
        page.say("run", running=True)
        page.until(lambda: page.frame()["step"] > 3)
        assert len(running.note_processes()) >= 3
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == 0
        assert not running.remaining(5)
        assert running.process.stderr.read() == ""


@posix
def test_a_server_that_is_killed_leaves_no_process():
    with started("cython_core") as running, Page(running) as page:
        page.say("run", running=True)
        page.until(lambda: page.frame()["step"] > 3)
        running.note_processes()
        running.process.kill()
        assert not running.remaining(10)


@posix
def test_closing_the_page_ends_every_process():
    with started("pure_python") as running:
        with Page(running) as page:
            page.say("run", running=True)
            page.until(lambda: page.frame()["step"] > 3)
            running.note_processes()
        assert running.process.wait(15) == 0
        assert not running.remaining(5)
        assert running.process.stderr.read() == ""


@posix
def test_a_page_that_is_loaded_anew_keeps_the_playground():
    with started("cython_core") as running:
        with Page(running):
            pass
        time.sleep(1)
        with Page(running) as page:
            time.sleep(4)
            page.say("step")
            page.until(lambda: page.frame()["step"] == 1)


@posix
def test_a_trainer_that_is_killed_is_replaced(playground, visitor):
    before = playground.note_processes()
    with Page(playground) as other:
        other.frame()
        (mine,) = [pid for pid in playground.note_processes() - before if alive(pid)]
        subprocess.run(["kill", "-9", str(mine)], check=True)
        other.until(lambda: any("has ended" in error for error in other.errors))
        other.say("step")
        other.until(lambda: other.frame()["step"] == 1)


@pytest.mark.parametrize(
    ("args", "says"),
    [(["--port", "70000"], "no port"), (["--port", "x"], "no port"), (["--host", "0"], "--host")],
)
def test_options_that_cannot_be(args, says, capsys):
    assert command.run("pure_python", args) == 2
    assert says in capsys.readouterr().err


def test_a_port_that_is_taken(capsys):
    with started("pure_python") as running:
        port = running.origin.rpartition(":")[2]
        assert command.run("pure_python", ["--port", port, "--no-open"]) == 2
    assert f"--port {port}" in capsys.readouterr().err
