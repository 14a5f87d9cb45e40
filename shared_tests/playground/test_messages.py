"""Whatever a page says is either one of the messages, checked, or refused with a sentence."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pure_python.playground import messages
from pure_python.playground.messages import MESSAGES, Refused, read

GOOD = [
    {"type": "run", "running": True},
    {"type": "step"},
    {"type": "reset"},
    {"type": "compare", "on": False},
    {"type": "add", "data": 0, "x": 0.5, "y": -1.5, "class": 5},
    {"type": "move", "data": 3, "index": 0, "x": 1, "y": 1.5},
    {"type": "recolour", "data": 3, "index": 999, "class": 0},
    {"type": "delete", "data": 3, "index": 7},
    {"type": "explore", "data": 3, "index": 7},
    {"type": "shown", "backend": "pure_python", "frame": 12},
    {"type": "csv", "name": "a.csv", "content": base64.b64encode(b"a,b\n1,2\n").decode()},
    {"type": "columns", "x": "a", "y": "b", "target": "c"},
    {"type": "settings", "changes": {"hidden": [], "lr": 0.1}},
    {"type": "settings", "changes": {"hidden": [16] * 5, "seed": 2**32 - 1, "speed": 0}},
    {"type": "settings", "changes": {"backend": "cython_core", "noise": 0, "batch_size": 1000}},
]


def test_there_is_a_case_of_every_message():
    assert {case["type"] for case in GOOD} == set(MESSAGES)


@pytest.mark.parametrize("message", GOOD, ids=lambda m: m["type"])
def test_messages_are_let_through(message):
    read_back = read(json.dumps(message))
    assert read_back.keys() == message.keys()


BAD = [
    "", "null", "[]", "3", '"run"', "{", "{}", '{"type": 3}', '{"type": ["run"]}', '{"type": "exec"}',
    '{"type": "run"}', '{"type": "run", "running": 1}', '{"type": "run", "running": "true"}',
    '{"type": "run", "running": true, "more": 1}', '{"type": "step", "times": 9}',
    '{"type": "compare", "on": null}', '{"type": "__init__"}', '{"type": "on_step"}',
    '{"type": "add", "data": 0, "x": NaN, "y": 0, "class": 0}',
    '{"type": "add", "data": 0, "x": Infinity, "y": 0, "class": 0}',
    '{"type": "add", "data": 0, "x": 1e999, "y": 0, "class": 0}',
    '{"type": "add", "data": 0, "x": 1.51, "y": 0, "class": 0}',
    '{"type": "add", "data": 0, "x": true, "y": 0, "class": 0}',
    '{"type": "add", "data": 0, "x": 0, "y": 0, "class": 6}',
    '{"type": "add", "data": 0, "x": 0, "y": 0, "class": -1}',
    '{"type": "add", "data": 0, "x": 0, "y": 0, "class": 0.0}',
    '{"type": "move", "data": 0, "index": 1000, "x": 0, "y": 0}',
    '{"type": "delete", "data": -1, "index": 0}', '{"type": "delete", "data": 0, "index": "0"}',
    '{"type": "shown", "backend": "os", "frame": 0}',
    '{"type": "shown", "backend": "pure_python", "frame": 9007199254740992}',
    '{"type": "settings", "changes": {}}', '{"type": "settings", "changes": []}',
    '{"type": "settings", "changes": {"path": "/etc/passwd"}}',
    '{"type": "settings", "changes": {"backend": "os"}}',
    '{"type": "settings", "changes": {"hidden": 8}}',
    '{"type": "settings", "changes": {"hidden": [17]}}',
    '{"type": "settings", "changes": {"hidden": [0]}}',
    '{"type": "settings", "changes": {"hidden": [true]}}',
    '{"type": "settings", "changes": {"hidden": [1, 1, 1, 1, 1, 1]}}',
    '{"type": "settings", "changes": {"lr": 0}}', '{"type": "settings", "changes": {"lr": "0.1"}}',
    '{"type": "settings", "changes": {"lr": 1e400}}', '{"type": "settings", "changes": {"lr": null}}',
    '{"type": "settings", "changes": {"seed": -1}}', '{"type": "settings", "changes": {"seed": 1.0}}',
    '{"type": "settings", "changes": {"speed": true}}', '{"type": "settings", "changes": {"speed": 7}}',
    '{"type": "settings", "changes": {"samples": 10000000}}',
    '{"type": "settings", "changes": {"activation": "tanh; import os"}}',
    '{"type": "csv", "name": "a.csv", "content": "no base64!"}',
    '{"type": "csv", "name": "", "content": ""}', '{"type": "csv", "name": "a\\nb", "content": ""}',
    '{"type": "csv", "name": "a.csv", "content": 3}', '{"type": "csv", "name": "a.csv", "content": "é"}',
    '{"type": "columns", "x": 1, "y": "b", "target": "c"}',
    '{"type": "run", "running": ' + "9" * 5000 + "}",
    '{"type": ' + "[" * 100_000, "x" * (messages.MOST_BYTES + 1), b"\x00\x01",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:60]))
def test_anything_else_is_refused(text):
    with pytest.raises(Refused) as refusal:
        read(text)
    assert len(str(refusal.value)) < 400 and "\n" not in str(refusal.value)


def test_a_file_that_is_too_large_is_refused():
    content = base64.b64encode(bytes(messages.MOST_CSV_BYTES + 1)).decode()
    with pytest.raises(Refused, match="a file has at most"):
        read(json.dumps({"type": "csv", "name": "a.csv", "content": content}))


numbers = st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=8)
values = st.recursive(
    numbers,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*messages.SETTINGS, "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)
names = sorted({name for fields in MESSAGES.values() for name in fields})


@given(
    st.dictionaries(st.sampled_from(names), values, max_size=5), st.sampled_from(sorted(MESSAGES))
)
def test_nothing_but_a_refusal_comes_of_random_messages(fields, kind):
    try:
        message = read(json.dumps(fields | {"type": kind}))
    except Refused:
        return
    assert message.keys() == MESSAGES[kind].keys() | {"type"}
