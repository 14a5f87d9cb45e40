"""Who may talk to a playground, what a broken message does to it, and how it ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from playground_pages import LINUX, PATIENCE, Page, alive, started
from pure_python.playground import command, server, session
from pure_python.playground.messages import Refused
from pure_python.playground.settings import Settings
from pure_python.state.weights import read_safetensors
from pure_python.training import cli
from pure_python.training.errors import InputError

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
        with connect(address, origin=origin, additional_headers=headers, open_timeout=PATIENCE):
            pass
    assert refusal.value.response.status_code in (400, 403)


def test_no_path_leads_out_of_the_page(playground):
    for path in ("../server.py", "%2e%2e/server.py", "..%2fserver.py", "/etc/passwd", "static"):
        assert playground.get(path)[0] in (403, 404), path


def test_too_many_pages(playground):
    from websockets.sync.client import connect

    address = playground.url.replace("http", "ws", 1) + "socket"
    with Page(playground), Page(playground), Page(playground):
        with connect(address, origin=playground.origin, open_timeout=PATIENCE) as fifth:
            assert "close one of them" in json.loads(fifth.recv(PATIENCE))["message"]


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
        with pytest.raises(ConnectionClosed):  # while it is still sent, if the server is quick
            other.socket.send("x" * 3_000_000)
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
    visitor.until(lambda: visitor.frame()["rate"] > 0)
    # Over a second at least, and ten steps may have been late before. A busy machine may be slower.
    assert visitor.frame()["rate"] < 115
    visitor.change(speed=0)
    visitor.until(lambda: visitor.frame()["rate"] > 150)


def test_points_by_hand(visitor):
    visitor.say("settings", changes={"dataset": "own"})
    visitor.until(lambda: visitor.points["points"] == [])
    data = visitor.points["data"]
    for wish in ({"type": "run", "running": True}, {"type": "step"}):
        assert "no points to learn from" in visitor.refused(json.dumps(wish))
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


def test_the_graph_of_a_point(playground):
    with Page(playground) as page:
        addresses = []
        for index in (3, 4):
            page.say("explore", data=page.points["data"], index=index)
            page.until(lambda: page.answers)
            addresses.append(page.answers.pop()["address"])
        status, headers, shown = playground.get(addresses[1])
        assert status == 200 and b"<svg" in shown
        assert "sandbox allow-scripts" in headers["content-security-policy"]
        assert playground.get(addresses[0])[0] == 404, "the page shows one graph"
        page.say("explore", data=page.points["data"], index=999)
        page.until(lambda: page.errors)
        assert "others by now" in page.errors[0]
    end = time.monotonic() + PATIENCE
    while playground.get(addresses[1])[0] != 404:
        assert time.monotonic() < end, "the graph of a page that is closed is kept"


def test_side_by_side(visitor):
    """The three from the same seed: pure_python and cython_core have the same losses to the bit."""
    visitor.change(samples=20, hidden=[3])
    visitor.say("compare", on=True)
    visitor.until(lambda: visitor.state["comparing"])
    visitor.say("run", running=True)
    names = visitor.hello["choices"]["backend"]
    visitor.until(lambda: all(visitor.frame(name)["step"] > 40 for name in names))
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
        page.until(lambda: len(page.frames) == 3)
        page.say("run", running=True)
        page.until(lambda: page.frame()["step"] > 3)
        assert len(running.note_processes()) >= 3
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(PATIENCE) == 0
        assert not running.remaining()
        assert running.process.stderr.read() == ""


@posix
def test_a_server_that_is_killed_leaves_no_process():
    with started("cython_core") as running, Page(running) as page:
        page.say("run", running=True)
        page.until(lambda: page.frame()["step"] > 3)
        running.note_processes()
        running.process.kill()
        assert not running.remaining()
        assert running.process.stderr.read() == ""


@posix
def test_closing_the_page_ends_every_process():
    with started("pure_python") as running:
        with Page(running) as page:
            page.say("run", running=True)
            page.until(lambda: page.frame()["step"] > 3)
            running.note_processes()
        assert running.process.wait(PATIENCE) == 0
        assert not running.remaining()
        assert running.process.stderr.read() == ""


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


@posix
def test_ctrl_c_in_the_terminal_leaves_a_trainer_to_the_server(playground):
    """The terminal sends it to every process; one that trains goes on until the server ends it."""
    before = playground.note_processes()
    with Page(playground) as page:
        page.frame()
        (trainer,) = [pid for pid in playground.note_processes() - before if alive(pid)]
        os.kill(trainer, signal.SIGINT)
        page.say("step")
        page.until(lambda: page.frame()["step"] == 1)
        assert not page.errors


def test_the_browser_is_opened_at_the_address(tmp_path):
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}.part"\nmv "{opened}.part" "{opened}"\n')
    browser.chmod(0o755)
    with started("pure_python", browser=browser) as running:
        end = time.monotonic() + PATIENCE
        while not opened.exists():
            assert time.monotonic() < end, "no browser was opened"
            time.sleep(0.01)
        assert opened.read_text().strip() == running.url


def test_help_tells_the_options(capsys):
    assert cli.main("pure_python", ["playground", "--help"]) == 0
    assert "--port" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--port", "70000"], "70000 is not in the range 0<=x<=65535"),
        (["--port", "x"], "'x' is not a valid integer range"),
        (["--host", "0"], "No such option '--host'"),
        (["x"], "unexpected extra argument (x)"),
    ],
)
def test_options_that_cannot_be(args, says, capsys):
    assert cli.main("pure_python", ["playground", *args]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and says in line


def test_a_port_that_is_taken(capsys):
    with started("pure_python") as running:
        port = running.origin.rpartition(":")[2]
        assert cli.main("pure_python", ["playground", "--port", port, "--no-open"]) == 2
    assert f"--port {port}" in capsys.readouterr().err


# What hangs on a moment: without a network, and with trainers that say what the test says --------


class Quiet:
    """A trainer that only takes in what it is told."""

    def __init__(self, settings, points, receive):
        self.told, self.receive, self.ended = [], receive, False

    def tell(self, command, *arguments):
        self.told.append((command, *arguments))

    def end(self):
        self.ended = True


@pytest.fixture
def quiet(monkeypatch):
    monkeypatch.setattr(session, "Process", Quiet)


class Wire:
    """The end of a connection that the server has, and whoever asks at the other."""

    def __init__(self, playground, path, kind="websocket"):
        host = "127.0.0.1:80"
        headers = [(b"host", host.encode()), (b"origin", f"http://{host}".encode())]
        scope = {"type": kind, "method": "GET", "path": f"/token/{path}", "headers": headers}
        scope |= {"query_string": b"", "root_path": "", "subprotocols": [], "extensions": {}}
        scope["asgi"] = {"version": "3.0", "spec_version": "2.4"}
        self.said, self.got = asyncio.Queue(), []
        self.broken, self.reads = False, asyncio.Event()
        self.reads.set()
        self.said.put_nowait({"type": f"{kind}.connect" if kind == "websocket" else "http.request"})
        self.done = asyncio.create_task(playground.app(scope, self.said.get, self.send))

    async def send(self, event):
        await self.reads.wait()
        if self.broken:
            raise OSError("nobody is there")
        self.got.append(event)

    def say(self, **message):
        self.said.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.001)

    async def close(self):
        self.said.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await self.done

    async def answer(self):
        """The status and the text of an answer to a request."""
        await self.done
        return self.got[0]["status"], b"".join(
            event.get("body", b"") for event in self.got
        ).decode()


def in_process(test):
    """The test, a coroutine, run in a loop with a playground that has no network; see Wire."""

    def run(quiet, monkeypatch):
        async def all_of_it():
            ended = asyncio.Event()
            playground = server.Playground("pure_python", 80, "token", ended.set)
            await test(playground, ended, monkeypatch)

        asyncio.run(all_of_it())

    run.__doc__ = test.__doc__
    return run


@in_process
async def test_a_page_that_is_loaded_anew_keeps_the_playground(playground, ended, monkeypatch):
    monkeypatch.setattr(server, "SECONDS_WITHOUT_A_PAGE", PATIENCE)
    first, second = Wire(playground, "socket"), Wire(playground, "socket")
    await first.until(lambda: len(playground.sessions) == 2)
    await first.close()
    assert playground.ending is None, "there is the other page"
    await second.close()
    end = playground.ending
    assert end is not None and not end.cancelled()
    again = Wire(playground, "socket")
    await again.until(lambda: playground.sessions)
    assert end.cancelled() and not ended.is_set()
    monkeypatch.setattr(server, "SECONDS_WITHOUT_A_PAGE", 0.0)
    await again.close()
    await again.until(ended.is_set)


@in_process
async def test_two_pages_that_are_closed_at_once_end_the_playground_once(
    playground, ended, monkeypatch
):
    monkeypatch.setattr(server, "SECONDS_WITHOUT_A_PAGE", PATIENCE)
    pages = Wire(playground, "socket"), Wire(playground, "socket")
    await pages[0].until(lambda: len(playground.sessions) == 2)
    timers = []
    later = asyncio.get_running_loop().call_later
    monkeypatch.setattr(
        asyncio.get_running_loop(),
        "call_later",
        lambda *args, **named: timers.append((later(*args, **named), args[1])) or timers[-1][0],
    )
    await asyncio.gather(*[page.close() for page in pages])
    assert len([timer for timer, act in timers if act == ended.set and not timer.cancelled()]) == 1


@in_process
async def test_a_page_that_is_gone_before_it_is_let_in(playground, ended, monkeypatch):
    page = Wire(playground, "socket")
    page.broken = True
    await page.done
    assert playground.sessions == {} and playground.ending is None


@in_process
async def test_a_page_that_vanishes_in_a_flood_of_its_own(playground, ended, monkeypatch):
    """Its answers can be put nowhere, and the server does not wait until they are read."""
    page = Wire(playground, "socket")
    await page.until(lambda: page.got)
    page.broken = True
    for _ in range(2 * server.MOST_UNSENT):
        page.say(type="nonsense")
    await page.close()
    assert playground.sessions == {}


@in_process
async def test_a_page_that_does_not_read_is_not_listened_to(playground, ended, monkeypatch):
    page = Wire(playground, "socket")
    await page.until(lambda: page.got)
    page.reads.clear()
    for _ in range(2 * server.MOST_UNSENT):
        page.say(type="nonsense")
    await page.until(lambda: page.said.qsize() < server.MOST_UNSENT)
    await asyncio.sleep(0.05)
    assert page.said.qsize() > server.MOST_UNSENT / 2
    page.reads.set()
    await page.until(lambda: page.said.empty())
    await page.close()


@in_process
async def test_files_that_no_trainer_answers_for(playground, ended, monkeypatch):
    page = Wire(playground, "socket")
    await page.until(lambda: playground.sessions)
    monkeypatch.setattr(session, "SECONDS_FOR_AN_ANSWER", 0.001)
    asked = Wire(playground, "0/weights.safetensors", "http")
    assert await asked.answer() == (503, "the network did not answer in time\n")
    monkeypatch.setattr(session, "SECONDS_FOR_AN_ANSWER", PATIENCE)
    asked = Wire(playground, "0/playground.py", "http")
    await asked.until(lambda: playground.sessions[0].answers)
    await page.close()
    assert await asked.answer() == (503, "the page is closed\n")
    assert (await Wire(playground, "0/playground.py", "http").answer())[0] == 404


def test_an_answer_that_comes_too_late_is_nobodys(quiet):
    async def ask():
        page = session.Session(Settings(), [].append)
        (trainer,) = page.processes.values()
        late = asyncio.create_task(page.ask("weights"))
        await asyncio.sleep(0)
        late.cancel()
        page.refuse_answers("the process that trains has ended")
        soon = asyncio.create_task(page.ask("script"))
        await asyncio.sleep(0)
        for (_, request), content in zip(trainer.told[-2:], (b"late", b"soon"), strict=True):
            trainer.receive(trainer, ("answer", request, content))
        assert await soon == b"soon" and late.cancelled()

    asyncio.run(ask())


def test_a_trainer_that_dies_is_replaced_and_answers_for_nothing():
    async def die():
        said = []
        page = session.Session(Settings(backend="cython_core"), said.append)
        dead = page.processes["cython_core"]
        # To `shown` there is no answer.
        asked = asyncio.create_task(page.ask("shown"))
        await asyncio.sleep(0)
        dead.process.kill()
        dead.process.join()
        page.obey({"type": "run", "running": True})  # nobody hears it
        with pytest.raises(InputError, match="the process that trains has ended"):
            await asked
        assert any("a new one begins" in str(message) for message in said) and not page.running
        assert page.processes["cython_core"] is not dead
        page._receive(dead, ("frame", b"of one that is gone"))
        assert b"of one that is gone" not in said
        await asyncio.to_thread(page.end)

    asyncio.run(die())


def told_states(said):
    return [message for message in said if message["type"] == "state"]


def test_what_one_trainer_notices_stops_all(quiet):
    """And a run that was asked for meanwhile: what the page is told is what they do."""
    said = []
    page = session.Session(Settings(), said.append)
    page.obey({"type": "compare", "on": True})
    page.obey({"type": "run", "running": True})
    first = page.processes["pure_python"]
    first.receive(first, ("notice", "Training diverged"))
    assert len(page.processes) == 3
    assert all(trainer.told[-1] == ("run", False) for trainer in page.processes.values())
    assert told_states(said)[-1]["running"] is False


def test_an_empty_plane_stops_the_run(quiet):
    said = []
    page = session.Session(Settings(), said.append)
    page.obey({"type": "run", "running": True})
    page.obey({"type": "settings", "changes": {"dataset": "own"}})
    assert told_states(said)[-1]["running"] is False and told_states(said)[-1]["count"] == 0
    page.obey({"type": "add", "data": page.data, "x": 0.0, "y": 0.0, "class": 1})
    page.obey({"type": "run", "running": True})
    page.obey({"type": "settings", "changes": {"noise": 0.2}})
    assert told_states(said)[-1]["running"] is True, "points of one's own stay"
    page.obey({"type": "delete", "data": page.data, "index": 0})
    assert told_states(said)[-1]["running"] is False


def test_a_csv_file_and_its_columns(quiet):
    said = []
    page = session.Session(Settings(), said.append)
    with pytest.raises(Refused, match="no CSV file"):
        page.obey({"type": "columns", "x": "a", "y": "b", "target": "kind"})
    content = b"a,b,c,kind\n1,5,9,u\n2,7,3,v\n3,6,4,u\n"
    page.obey({"type": "csv", "name": "table.csv", "content": content})
    page.obey({"type": "columns", "x": "c", "y": "a", "target": "kind"})
    points = [message for message in said if message["type"] == "points"]
    assert [message["axes"] for message in points[-2:]] == [("a", "b"), ("c", "a")]
    assert points[-1]["columns"]["name"] == "table.csv" and points[-1]["columns"]["rows"] == 3
    with pytest.raises(Refused, match="others by now"):
        page.obey({"type": "delete", "data": page.data - 1, "index": 0})


def test_another_backend_is_taken_by_the_process_that_is_there(quiet):
    said = []
    page = session.Session(Settings(), said.append)
    (trainer,) = page.processes.values()
    page.obey({"type": "settings", "changes": {"backend": "cython_core"}})
    assert page.processes == {"cython_core": trainer} and not trainer.ended
    command, _, settings, _ = trainer.told[-1]
    assert (command, settings.backend) == ("change", "cython_core")
    assert told_states(said)[-1]["settings"]["backend"] == "cython_core"


def test_a_backend_that_is_not_installed(quiet, monkeypatch):
    monkeypatch.setattr(session, "installed_backends", lambda: ("pure_python",))
    page = session.Session(Settings(), [].append)
    with pytest.raises(Refused, match="cython_core is not installed"):
        page.obey({"type": "settings", "changes": {"backend": "cython_core"}})
    with pytest.raises(Refused, match="install another"):
        page.obey({"type": "compare", "on": True})
