"""What a run is made of, as a file: `run.toml` beside its results, from which it can be run again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pure_python.state.files import open_regular
from pure_python.state.weights import first_line

from . import limits
from .csv_files import printable, shown
from .datasets import GENERATED, NAMES, Dataset, from_csv, load
from .errors import InputError
from .trainer import CSV_DEFAULTS, DEFAULTS, Settings, as_json, typed

FILE = "run.toml"
MOST_BYTES = 1_000_000
WORDS = {int: "a whole number", float: "a number", str: "a text", list: "a list of whole numbers"}
# What stands in the file. Only `data` has to; the last three are there to compare with.
TABLES = ("backend", "began", "data", "settings", "resumed", "versions", "result")
DATA = {"name": str, "csv": str, "target": str, "ignore": list, "samples": int, "sha256": str}
SETTINGS = as_json(Settings())
# Where each entry that asks for something belongs.
HOMES = dict.fromkeys(SETTINGS, "settings") | {"weights": "resumed"}
HOMES |= {name: "data" for name in DATA if name != "sha256"}
# The result of a run has entries of the same names as settings.
RESULTS = ("loss", "lr")
# The entries that are paths, and the options that go before them.
PATHS = (("data", "csv", "--csv"), ("resumed", "weights", "--resume"))


@dataclass(frozen=True)
class Source:
    """Where samples come from: a data set by name, or a CSV file and its target column."""

    name: str | None = None
    csv_path: str | None = None
    target: str | None = None
    ignore: tuple[str, ...] = ()
    samples: int | None = None

    def load(self, seed: int) -> Dataset:
        if self.csv_path is not None:
            return from_csv(self.csv_path, self.target or "", self.ignore, self.samples, seed)
        if self.name in GENERATED and self.samples is not None:
            limits.check_samples(self.samples, 2)
        return load(self.name or "", self.samples, seed)

    def defaults(self) -> Settings:
        return CSV_DEFAULTS if self.name is None else DEFAULTS[self.name]

    def changed(
        self,
        name: str | None,
        csv_path: str | None,
        target: str | None,
        ignore: tuple[str, ...],
        samples: int | None,
    ) -> Source:
        """This one with what is given in its place. InputError if that is not one source."""
        nothing = name is None and csv_path is None and not (self.name or self.csv_path)
        if nothing or (name is not None and csv_path is not None):
            raise InputError(
                "give a data set (" + ", ".join(NAMES) + ") or --csv FILE, and not both"
            )
        if name is not None or (csv_path is None and self.csv_path is None):
            if target is not None or ignore:
                raise InputError("--target and --ignore go with --csv FILE")
            return Source(name or self.name, samples=samples or self.samples)
        if target is None and self.target is None:
            raise InputError("--csv needs --target COLUMN: the column that holds the class")
        return Source(
            None,
            csv_path or self.csv_path,
            target or self.target,
            ignore or self.ignore,
            samples or self.samples,
        )

    def as_json(self) -> dict[str, Any]:
        """What was given, as what JSON can hold."""
        path = self.csv_path and printable(self.csv_path)
        given: dict[str, Any] = {"name": self.name, "csv": path, "target": self.target}
        given |= {"ignore": list(self.ignore) or None, "samples": self.samples}
        return {name: entry for name, entry in given.items() if entry is not None}


@dataclass(frozen=True)
class Configuration:
    """What such a file says. settings: those that it gives; record: all of it, to compare with."""

    path: str
    source: Source
    settings: dict[str, Any]
    resume: str | None
    record: dict[str, Any]

    def check_files(self, *used: str | None) -> None:
        """InputError if a file that is named here, and is among those used, is not there."""
        for table, name, option in PATHS:
            path = self.record.get(table, {}).get(name)
            if path is None or path not in used:
                continue
            try:
                os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                gone = printable(os.path.abspath(path))
                raise InputError(
                    f"{self.path}: [{table}] {name}: there is no file {gone}; "
                    f"give it by {option} FILE"
                ) from None
            except (OSError, ValueError):
                pass  # who opens it says why that cannot be

    def differences(self, now: Mapping[str, Any]) -> Iterator[str]:
        """What is not now as it was then, and whether the same weights came out all the same.

        now: the record of the run that was made after this file.
        """
        file, record = os.path.basename(self.path), self.record
        if record.get("backend", now["backend"]) != now["backend"]:
            yield f"backend {now['backend']}, {record['backend']} in {file}"
        for what in ("settings", "data", "resumed", "versions"):
            then, later = record.get(what, {}), now.get(what, {})
            for name in [name for name in then if name != "sha256" and name in later]:
                if then[name] != later[name]:
                    yield f"{name} {_plain(later[name])}, {_plain(then[name])} in {file}"
        for what, words in (("data", "the data"), ("resumed", "the weights gone on from")):
            then, later = record.get(what, {}), now.get(what, {})
            if "sha256" in then and then["sha256"] != later.get("sha256"):
                yield f"{words} are not those of {file}: their SHA-256 is another"
        result = record.get("result", {})
        if result.get("interrupted"):
            yield f"the run of {file} was stopped by Ctrl-C; this one was not"
        elif "weights_sha256" in result:
            same = result["weights_sha256"] == now["result"]["weights_sha256"]
            yield (
                f"the weights are those of {file}, bit for bit"
                if same
                else (f"the weights are not those of {file}")
            )


def _plain(entry: Any) -> str:
    return ",".join(map(str, entry)) or "none" if isinstance(entry, list) else str(entry)


def read(path: str) -> Configuration:
    """The configuration at `path`, a file or a folder that holds one. InputError if it is none.

    Paths in it are relative to its folder; here they are as seen from the working directory.
    """
    if os.path.isdir(path):
        path = os.path.join(path, FILE)
    record = seen_from(os.curdir, _tables(path), os.path.dirname(os.path.realpath(path)))
    settings = _settings(path, record.get("settings", {}))
    resumed = record.get("resumed", {})
    if resumed and (not isinstance(resumed.get("weights"), str) or not resumed["weights"]):
        raise InputError(f"{path}: [resumed] weights: the name of a file is expected")
    return Configuration(
        path, _source(path, record["data"]), settings, resumed.get("weights"), record
    )


def seen_from(there: str, record: Mapping[str, Any], here: str = os.curdir) -> dict[str, Any]:
    """A record whose relative paths, which begin in the folder `here`, begin in the folder `there`."""
    seen = dict(record)
    for table, name, _ in PATHS:
        path = seen.get(table, {}).get(name)
        if not isinstance(path, str) or path == "" or os.path.isabs(path):
            continue
        # Of folders that are links `..` leads elsewhere: theirs are the paths without links.
        path = os.path.join(os.path.realpath(here), path)
        with contextlib.suppress(ValueError):  # Windows has no way from one drive to another
            path = Path(os.path.relpath(path, os.path.realpath(there))).as_posix()
        seen[table] = {**seen[table], name: path}
    return seen


def _tables(path: str) -> dict[str, Any]:
    text = ""
    try:
        with open_regular(path) as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError("too large for a configuration")
        text = content.decode("utf-8-sig")  # editors on Windows may begin it with a mark
        record = tomllib.loads(text)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        where = re.search(r"at line (\d+)", str(error)) if text else None
        line = f": {shown(text.split(chr(10))[int(where[1]) - 1].strip())}" if where else ""
        raise InputError(
            f"{path}: not a configuration in TOML: {first_line(error)}{line}"
        ) from None
    for name, entry in record.items():
        if name not in TABLES:
            raise _misplaced(path, None, name, TABLES)
        if name not in ("backend", "began") and not isinstance(entry, dict):
            raise InputError(f"{path}: {name}: a table is expected, [{name}]")
    for table in ("resumed", "versions", "result"):
        for name in record.get(table, {}):
            if HOMES.get(name, table) != table and not (table == "result" and name in RESULTS):
                raise _misplaced(path, table, name, ())
    if "data" not in record:
        raise InputError(f'{path}: it names no data; [data] with name = "moons", or csv and target')
    return record


def _misplaced(path: str, table: str | None, name: str, there: Iterable[str]) -> InputError:
    """That an entry is not known in this table, or at the top, and where it belongs."""
    home = HOMES.get(name.replace("-", "_"))
    if home is not None and home != table:
        here = "at the top" if table is None else f"under [{table}]"
        return InputError(f"{path}: {shown(name)} belongs under [{home}], not {here}")
    here = f"{shown(name)} is not known" if table is None else f"[{table}] has no {shown(name)}"
    if home is not None:
        return InputError(f"{path}: {here}; it is spelt {name.replace('-', '_')}")
    return InputError(f"{path}: {here}; there are {', '.join(there)}")


def _source(path: str, entries: dict[str, Any]) -> Source:
    for key, entry in entries.items():
        if key not in DATA:
            raise _misplaced(path, "data", key, DATA)
        texts = type(entry) is not list or all(isinstance(text, str) for text in entry)
        if type(entry) is not DATA[key] or not texts:
            words = "a list of texts" if DATA[key] is list else WORDS[DATA[key]]
            raise InputError(f"{path}: [data] {key}: {words} is expected, got {shown(str(entry))}")
    if entries.get("csv") == "":
        raise InputError(f"{path}: [data] csv: the name of a file is expected, got ''")
    name, samples = entries.get("name"), entries.get("samples")
    if name is not None and name not in NAMES:
        raise InputError(
            f"{path}: [data] name: {shown(name)} is none of {', '.join(NAMES)}; a file is csv = …"
        )
    if samples is not None and not 0 < samples < 1 << 63:
        raise InputError(
            f"{path}: [data] samples: 1 or more is expected, got {shown(str(samples))}"
        )
    ignore = tuple(entries.get("ignore", ()))
    try:
        return Source().changed(name, entries.get("csv"), entries.get("target"), ignore, samples)
    except InputError as error:
        raise InputError(f"{path}: [data]: {error}") from None


def _settings(path: str, entries: dict[str, Any]) -> dict[str, Any]:
    """The settings among these entries. InputError for one that cannot be, by its name."""
    settings = {}
    for name, entry in entries.items():
        if name not in SETTINGS:
            raise _misplaced(path, "settings", name, SETTINGS)
        try:
            settings[name] = typed(name, entry)
        except (TypeError, OverflowError):
            words = WORDS[type(SETTINGS[name])]
            got = shown(str(entry))
            raise InputError(f"{path}: [settings] {name}: {words} is expected, got {got}") from None
    return settings


def as_toml(record: Mapping[str, Any]) -> str:
    """A record in TOML: entries of its own first, then its tables."""
    tables = {name: entry for name, entry in record.items() if isinstance(entry, Mapping)}
    lines = [_line(name, entry) for name, entry in record.items() if name not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(_line(key, entry) for key, entry in table.items())]
    return "\n".join(lines) + "\n"


def _line(name: str, entry: Any) -> str:
    bare = re.fullmatch(r"[A-Za-z0-9_-]+", name)
    return f"{name if bare else _text(name)} = {_value(entry)}"


def _value(entry: Any) -> str:
    if isinstance(entry, list):
        return f"[{', '.join(map(_value, entry))}]"
    return _text(entry) if isinstance(entry, str) else str(entry).lower()


def _text(text: str) -> str:
    """As JSON writes it, which TOML reads but for one character."""
    return json.dumps(printable(text), ensure_ascii=False).replace("\x7f", "\\u007f")
