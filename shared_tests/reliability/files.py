"""Files that are damaged or lie, saves that are killed: `python -m reliability.files`.

Ten thousand weights files a backend are loaded into a model, ten thousand into a training run, ten
thousand tables are read: each is taken whole or refused with a sentence that names it, and what is
refused changes no bit. Files that are large or endless are measured. A hundred saves a backend and
kind are killed at any moment: the file is the old one or the new one.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import math
import os
import resource
import signal
import struct
import sys
import tempfile
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import numpy as np
import safetensors

from cases import hostile_files
from pure_python.playground.points import Upload
from pure_python.training import checkpoint, datasets
from pure_python.training.errors import InputError
from pure_python.training.run import Run, Source
from reliability.record import record

BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")
# Limits: seconds that a small file may take, and a large one; bytes that a large one may take.
SECONDS, SECONDS_OF_LARGE = 2.0, 30.0
BYTES_OF_LARGE = 1_500_000_000
LONGEST_SENTENCE = 1500


class Fault(AssertionError):
    """What must not be, with the file that shows it."""


def require(true: object, what: str) -> None:
    if not true:
        raise Fault(what)


# Bits ----------------------------------------------------------------------------------------


def numbers_in(entry: Any) -> list[float]:
    """All numbers of nested lists or an array, in order."""
    entry = entry.tolist() if hasattr(entry, "tolist") else entry
    return (
        [x for row in entry for x in numbers_in(row)]
        if isinstance(entry, list | tuple)
        else [entry]
    )


def bits(state: dict[str, Any]) -> dict[str, bytes | str]:
    """A state_dict in which NaNs can be compared, and zeros with their sign."""
    return {
        name: array("d", numbers_in(entry)).tobytes() if not isinstance(entry, str) else entry
        for name, entry in state.items()
    }


def check_sentence(error: Exception, path: str) -> str:
    text = str(error)
    # The option comes first where damage has changed the seed that is in the file.
    named = text.removeprefix("--seed 1337: ")
    require(named.startswith(path), f"the file is not named: {text[:300]}")
    require(len(text) < LONGEST_SENTENCE + len(path), f"{len(text)} characters: {text[:300]}")
    require("\n" not in text, f"more than one line: {text[:300]!r}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Fault(f"it cannot be printed: {text[:300]!r}") from None
    return text


# Weights files -------------------------------------------------------------------------------


def whole_files(backend: ModuleType, folder: Path) -> list[bytes]:
    """What damage starts from: files that fit the model, one of float32, and one of another model."""
    contents = []
    for sizes in ([4, 3, 1], [4, 1]):
        backend.MLP(2, sizes, seed=1).save(folder / "whole")
        contents.append((folder / "whole").read_bytes())
    header, numbers = hostile_files.parts(contents[0])
    count = len(numbers) // 8
    for name, entry in header.items():
        if name != "__metadata__":
            entry["dtype"] = "F32"
            entry["data_offsets"] = [place // 2 for place in entry["data_offsets"]]
    halved = struct.pack(f"<{count}f", *struct.unpack(f"<{count}d", numbers))
    return [*contents, hostile_files.joined(header, halved)]


def by_the_package(content: bytes) -> dict[str, Any] | None:
    """The tensors as the safetensors package reads them, or None if it refuses."""
    try:
        return dict(safetensors.deserialize(content))
    except safetensors.SafetensorError:
        return None


def loading(backend: ModuleType, count: int, seed: int) -> Counter[str]:
    """Load `count` files into a model. The safetensors package must agree with each answer."""
    told: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "file.safetensors"
        model = backend.MLP(2, [4, 3, 1], seed=2)
        optimizer = backend.Adam(model.parameters())
        for p in model.parameters():
            p.grad = p.data
        optimizer.step()
        shapes = {name: np.shape(tensor) for name, tensor in model.state_dict().items()}
        moments = bits(optimizer.state_dict())
        files = hostile_files.hostile_files(whole_files(backend, folder), seed, count)
        for number, (kind, content) in enumerate(files):
            path.write_bytes(content)
            before, began = bits(model.state_dict()), time.perf_counter()
            try:
                model.load(path)
                refused = None
            except ValueError as error:
                refused = check_sentence(error, str(path))
            except Exception as error:
                raise Fault(f"file {number}, {kind}: {error!r}") from error
            took = time.perf_counter() - began
            require(took < SECONDS, f"file {number}, {kind}: {took:.1f} s")
            read = by_the_package(content)
            fits = (
                read is not None
                and {name: tuple(entry["shape"]) for name, entry in read.items()} == shapes
                and all(entry["dtype"] in ("F64", "F32") for entry in read.values())
            )
            what = f"file {number}, {kind}: {refused or 'loaded'}"
            require(bits(optimizer.state_dict()) == moments, f"{what}: the optimiser changed")
            if refused:
                require(bits(model.state_dict()) == before, f"{what}: and the model changed")
                # An unknown field, which the package passes over, may change what the others mean.
                require(not fits or "is not described" in refused, f"{what}: it is whole and fits")
            else:
                require(fits and read is not None, f"{what}: the package refuses it")
                for name, entry in (read or {}).items():
                    code = {"F64": "d", "F32": "f"}[entry["dtype"]]
                    numbers = array("d", array(code, bytes(entry["data"])).tolist())
                    loaded = bits({name: model.state_dict()[name]})[name]
                    require(loaded == numbers.tobytes(), f"{what}: other numbers in {name}")
            told["loaded" if refused is None else "refused"] += 1
    require("TRIGRAD_UNPICKLED" not in os.environ, "a pickle was opened")
    return told


# Checkpoints ---------------------------------------------------------------------------------


def resuming(backend: ModuleType, count: int, seed: int) -> Counter[str]:
    """Go on with training from `count` files. What is taken must be able to take a step."""
    told: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        path = str(Path(name, "file.safetensors"))
        whole, runs = [], []
        for options in ({"optimizer": "adam"}, {"optimizer": "sgd", "momentum": 0.9}):
            asked = {"hidden": (4, 3), "epochs": 1, "momentum": 0.0, **options}
            source = Source("moons", samples=20)
            run = Run.prepare(backend, source, asked, save=path, files=False)
            require(run.carry_out(quiet=True), "no run to go on from")
            whole.append(Path(path).read_bytes())
            runs.append(run)
        for number, (kind, content) in enumerate(hostile_files.hostile_files(whole, seed, count)):
            Path(path).write_bytes(content)
            run = runs[number % 2]
            trainer = run.trainer
            model, optimizer = trainer.model.state_dict(), trainer.optimizer.state_dict()
            before = bits(model), bits(optimizer), trainer.epochs_before
            began = time.perf_counter()
            try:
                saved = checkpoint.read(path)
                saved.check_fits(run.dataset, trainer.settings)
                saved.restore(trainer)
                refused = None
            except InputError as error:
                refused = check_sentence(error, path)
            except Exception as error:
                raise Fault(f"checkpoint {number}, {kind}: {error!r}") from error
            took = time.perf_counter() - began
            require(took < SECONDS, f"checkpoint {number}, {kind}: {took:.1f} s")
            if refused:
                after = (
                    bits(trainer.model.state_dict()),
                    bits(trainer.optimizer.state_dict()),
                    trainer.epochs_before,
                )
                what = f"checkpoint {number}, {kind}: {refused}"
                require(after == before, f"{what}: and the run changed")
            else:
                try:
                    take_a_step(run, saved)
                except (ArithmeticError, ValueError):
                    pass  # the numbers are another network's; that they are too large is said
                except Exception as error:
                    raise Fault(f"checkpoint {number}, {kind}: a step: {error!r}") from error
                trainer.model.load_state_dict(model)
                trainer.optimizer.load_state_dict(optimizer)
                trainer.epochs_before = before[2]
            told["resumed" if refused is None else "refused"] += 1
    require("TRIGRAD_UNPICKLED" not in os.environ, "a pickle was opened")
    return told


def take_a_step(run: Run, saved: checkpoint.Checkpoint) -> None:
    trainer, four = run.trainer, slice(4)
    with np.errstate(all="ignore"):
        outputs = trainer.model(saved.scaling(run.split.inputs[four]))
        loss = trainer.objective(outputs, run.split.targets[four])
        trainer.optimizer.zero_grad()
        loss.backward()
        trainer.optimizer.step()


# Tables --------------------------------------------------------------------------------------

CELLS = (
    "1", "-2.5", "1e3", "", " ", "nan", "inf", "-Infinity", "1e999", "0x10", "1_000", "1,5", "1 000",
    "1\xa0000,5", "١٢", "１２", "½", "x", "a b", '"', '""', '"a"', '"a', 'a"b', '"a"b', "'", "=1+1",
    "\0", "\ufeff", "\u2028", "\x85", "\x1c", "🙂", "é", "x" * 200_000, "9" * 400, "true", "#", "\\N",
)  # fmt: skip
ENDS = ("\n", "\r\n", "\r", "\n\n", "\n\r")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "shift-jis", "cp037")


def hostile_tables(seed: int, count: int) -> Iterator[bytes]:
    """CSV files that are nearly right, and then damaged."""
    random = Random(f"hostile tables {seed}")
    for _ in range(count):
        separator, end = random.choice(",;\t|"), random.choice(ENDS)
        width, height = random.choice((1, 2, 3, 3, 3, 8)), random.choice((0, 1, 4, 20))
        rows = [[f"c{k}" for k in range(width - 1)] + ["kind"]]
        rows += [
            [str(random.randrange(9)) for _ in range(width - 1)] + [random.choice("xy")]
            for _ in range(height)
        ]
        for _ in range(random.choice((0, 0, 1, 3))):
            row = random.choice(rows)
            how = random.randrange(4)
            if how == 0 and row:
                row.pop()
            elif how == 1:
                row.append(random.choice(CELLS))
            elif row:
                row[random.randrange(len(row))] = random.choice(CELLS)
        text = end.join(separator.join(row) for row in rows) + random.choice(("", end))
        content = text.encode(random.choice(ENCODINGS), errors="replace")
        if random.random() < 0.3:
            content = hostile_files.DAMAGES[random.choice(("bits", "cut", "chunk"))](
                content, random
            )
        yield content


def shown_points(path: str, content: bytes) -> np.ndarray:
    upload = Upload.read(path, content)
    return upload.points(*upload.likely_columns()).inputs


READERS: dict[str, Callable[[str, bytes], np.ndarray]] = {
    "train": lambda path, content: datasets.from_csv(path, "kind").inputs,
    "predict": lambda path, content: datasets.rows_to_predict(path, ("c0", "c1"))[1],
    "playground": shown_points,
}


def tables(count: int, seed: int) -> Counter[str]:
    """Read `count` tables as `train`, `predict` and the playground do."""
    told: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        path = str(Path(name, "table.csv"))
        for number, content in enumerate(hostile_tables(seed, count)):
            Path(path).write_bytes(content)
            began = time.perf_counter()
            for what, read in READERS.items():
                try:
                    require(
                        np.isfinite(read(path, content)).all(), f"table {number}: it is not finite"
                    )
                    told["read"] += 1
                except InputError as error:
                    check_sentence(error, path)
                    told["refused"] += 1
                except Fault:
                    raise
                except Exception as error:
                    raise Fault(f"table {number}, {what}: {error!r}: {content[:300]!r}") from error
            took = time.perf_counter() - began
            require(took < SECONDS, f"table {number}: {took:.1f} s")
    return told


# Large and endless files ---------------------------------------------------------------------


def measured(what: str, read: Callable[[], object]) -> tuple[str, float, int]:
    """What `read` says in a process of its own, its seconds, and the bytes that it takes at most."""
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        os.close(receiving)
        with os.fdopen(sending, "w") as told:
            began, before = time.perf_counter(), status("VmRSS")
            try:
                said = str(read())
            except (ValueError, OSError) as error:
                said = str(error)
            except BaseException as error:
                said = f"FAULT {error!r}"
            took = time.perf_counter() - began
            told.write(f"{took} {status('VmHWM') - before} {said}")
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as told:
        deadline = threading.Timer(2 * SECONDS_OF_LARGE, os.kill, (child, signal.SIGKILL))
        deadline.start()
        answer = told.read()
        deadline.cancel()
    os.waitpid(child, 0)
    require(answer, f"{what}: no answer within {2 * SECONDS_OF_LARGE:.0f} s")
    took, taken, said = answer.split(" ", 2)
    require(not said.startswith("FAULT"), f"{what}: {said}")
    return said, float(took), int(taken)


def status(name: str) -> int:
    """A figure of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


def endless(path: str, piece: bytes, pieces: int = 10_000) -> None:
    """Write a pipe until nobody reads it any more, 10 GB at most; in a process of its own."""
    os.mkfifo(path)
    if not os.fork():
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        with open(path, "wb", buffering=0) as pipe:
            for _ in range(pieces):
                pipe.write(piece)
        os._exit(0)


def entry_at(place: int, shape: list[int]) -> dict[str, Any]:
    """A tensor of float64 that begins here, as a header describes it."""
    offsets = [place, place + 8 * math.prod(shape)]
    return {"dtype": "F64", "shape": shape, "data_offsets": offsets}


def large(folder: Path) -> list[tuple[str, str, float, int]]:
    """(file, what is said of it, seconds, bytes) of files that are large, endless or none."""
    backend = importlib.import_module("pure_python")
    results = []

    def weights(what: str, path: str) -> None:
        model = backend.MLP(2, [4, 3, 1], seed=1)
        for name, read in (("load", model.load), ("resume", checkpoint.read)):
            said, took, taken = measured(what, lambda read=read: read(path))
            results.append((f"{name}: {what}", said.replace(path, "FILE"), took, taken))

    def table(what: str, path: str, accepted: bool = False) -> None:
        def read() -> str:
            data = datasets.from_csv(path, "kind")
            return f"read: {len(data)} rows of {len(data.features)} features"

        said, took, taken = measured(what, read)
        require(said.startswith("read: ") or not accepted, f"{what}: {said}")
        results.append((f"table: {what}", said.replace(path, "FILE"), took, taken))

    path = str(folder / "file")
    for name, content in hostile_files.heavy_headers():
        Path(path).write_bytes(content)
        weights(f"header of {name}", path)
    # Ten gigabytes, of which the disk holds none: what is told is consistent, the model is small.
    size = 10_000_000_000
    header = hostile_files.joined({"layers.0.weight": entry_at(0, [size // 8])}, b"")
    hostile_files.sparse(path, header, len(header) + size)
    weights("10 GB of another model", path)
    hidden = size // 32
    run = Run.prepare(
        backend, Source("moons", samples=20), {"hidden": (3,)}, save=path, files=False
    )
    run.trainer.train(run.split, run.interruption)
    checkpoint.write(path, run.trainer, run.dataset, run.scaling, run.data)
    described, _ = hostile_files.parts(Path(path).read_bytes())
    metadata, place = described["__metadata__"], 0
    for name in ("sizes", "settings"):
        metadata[name] = metadata[name].replace("3", str(hidden), 1)
    for name, shape in (("weight", [hidden, 2]), ("bias", [hidden])):
        described[f"layers.0.{name}"] = entry_at(place, shape)
        place = described[f"layers.0.{name}"]["data_offsets"][1]
    for name, shape in (("weight", [1, hidden]), ("bias", [1])):
        described[f"layers.1.{name}"] = entry_at(place, shape)
        place = described[f"layers.1.{name}"]["data_offsets"][1]
    header = hostile_files.joined(described, b"")
    hostile_files.sparse(path, header, len(header) + place)
    weights("10 GB that describe themselves so", path)
    hostile_files.sparse(path, b"", size)
    weights("10 GB of zeros", path)
    table("10 GB of zeros", path)
    os.unlink(path)
    os.mkfifo(path)
    weights("a pipe that nobody writes to", path)
    os.unlink(path)
    for path_, what in (("/dev/zero", "endless zeros"), ("/dev/urandom", "endless noise")):
        weights(what, path_)
        table(what, path_)
    weights("a folder", str(folder))
    table("a folder", str(folder))
    for what, piece in (
        ("a line of 10 GB in a pipe", b"1," * 500_000),
        ("10 GB of cells with open quotes in a pipe", b'a,kind\n"' + b"x" * 999_992),
        ("10 GB of rows in a pipe", b"1,2,x\n" * 150_000),
    ):
        endless(path, piece)
        table(what, path)
        os.unlink(path)
    columns = [f"column {k}" for k in range(100_000)]
    rows = "".join(",".join(["1.5"] * 100_000) + f",{'xy'[k % 2]}\n" for k in range(4))
    Path(path).write_text(",".join(columns) + ",kind\n" + rows)
    table("100,000 columns", path, accepted=True)
    random = Random(1)
    with open(path, "w") as file:
        file.write("a,b,c,d,kind\n")
        for k in range(1_000_000):
            file.write(f"{random.random():.6f},{random.random():.4f},{k % 97},{k},{'xy'[k % 2]}\n")
    table("1,000,000 rows", path, accepted=True)
    for what, said, took, taken in results:
        require(took < SECONDS_OF_LARGE, f"{what}: {took:.1f} s")
        require(taken < BYTES_OF_LARGE, f"{what}: {taken / 1e6:.0f} MB")
        require(len(said) < LONGEST_SENTENCE, f"{what}: {len(said)} characters")
    return results


# Saves that are killed -----------------------------------------------------------------------


def killed(
    folder: Path, save: Callable[[int], None], check: Callable[[], None], kills: int, seed: int
) -> tuple[int, int]:
    """Kill a process that saves again and again: (drafts seen, most of them at once)."""
    random, drafts, most = Random(f"kills {seed}"), 0, 0
    for kill in range(kills):
        child = os.fork()
        if not child:
            for number in itertools.count(kill * 1000):
                save(number)
        time.sleep(random.uniform(0.0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        left = [path for path in folder.iterdir() if path.name.endswith(".part")]
        drafts += bool(left)
        most = max(most, len(left))
        check()
    save(0)
    names = [path.name for path in folder.iterdir()]
    require(names == ["saved"], f"left behind: {names}")
    return drafts, most


def saving(backend: ModuleType, kills: int, seed: int) -> tuple[int, int]:
    """Kill saves of a model, and of a checkpoint with the state of an optimiser."""
    seen, most = 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, other = (backend.MLP(20, [200, 1], seed=k) for k in (1, 2))
        zeros = {name: np.zeros(np.shape(t)) for name, t in model.state_dict().items()}

        def save(number: int) -> None:
            # Every weight says which save it is of.
            model.load_state_dict({name: t + number for name, t in zeros.items()})
            model.save(folder / "saved")

        def check() -> None:
            other.load(folder / "saved")
            numbers = {x for tensor in other.state_dict().values() for x in numbers_in(tensor)}
            require(len(numbers) == 1, f"a file of {len(numbers)} saves")

        save(0)
        drafts, at_once = killed(folder, save, check, kills, seed)
        seen, most = seen + drafts, max(most, at_once)
        (folder / "saved").unlink()

        options = {"hidden": (60,), "epochs": 1, "optimizer": "adam"}
        run = Run.prepare(backend, Source("moons", samples=20), options, files=False)
        run.carry_out(quiet=True)
        trainer, dataset, scaling = run.trainer, run.dataset, run.scaling
        start, weights = trainer.optimizer.state_dict(), trainer.model.state_dict()
        shapes = {name: np.zeros(np.shape(t)) for name, t in weights.items()}

        def save_checkpoint(number: int) -> None:
            trainer.model.load_state_dict({name: t + number for name, t in shapes.items()})
            moments = {
                name: [float(number)] * len(start[name]) for name in checkpoint.moments(start)
            }
            trainer.optimizer.load_state_dict(start | moments | {"step": number})
            checkpoint.write(str(folder / "saved"), trainer, dataset, scaling, run.data)

        def check_checkpoint() -> None:
            saved = checkpoint.read(str(folder / "saved"))
            saved.restore(trainer)
            numbers = {x for tensor in saved.state.values() for x in numbers_in(tensor)}
            state = trainer.optimizer.state_dict()
            numbers |= {x for name in checkpoint.moments(state) for x in state[name]}
            require(numbers == {float(state["step"])}, f"a file of {len(numbers)} saves")

        save_checkpoint(0)
        drafts, at_once = killed(folder, save_checkpoint, check_checkpoint, kills, seed + 1)
        seen, most = seen + drafts, max(most, at_once)
    return seen, most


def full_disk(backend: ModuleType) -> str:
    """Save where there is no room: on a file system of 64 KB, or with so much allowed a file."""
    with tempfile.TemporaryDirectory() as name:
        mounted = os.system(f"mount -t tmpfs -o size=64k none {name} 2>/dev/null") == 0
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            path = Path(name, "saved")
            backend.MLP(2, [4, 1], seed=1).save(path)
            old = path.read_bytes()
            if not mounted:
                resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
            try:
                backend.MLP(100, [100, 1], seed=1).save(path)
                raise Fault("there was room")
            except OSError as error:
                said = str(error)
            require(said.endswith(f"'{path}'"), f"the file is not named: {said}")
            require(path.read_bytes() == old, "the old file is not whole")
            require([p.name for p in path.parent.iterdir()] == ["saved"], "a draft is left")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            if mounted:
                os.system(f"umount {name}")
    return ("a full file system: " if mounted else "a limit of the size of files: ") + (
        said.replace(str(path), "FILE")
    )


# The command ---------------------------------------------------------------------------------

OPENED: list[str] = []


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Pickles that name what they would call, while files are read."""
    if event == "pickle.find_class":
        OPENED.append(str(arguments))


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.files", description=__doc__)
    parser.add_argument("--backend", action="append", choices=BACKENDS)
    parser.add_argument("--files", type=int, default=10_000, help="of each kind, a backend")
    parser.add_argument("--kills", type=int, default=100, help="of each kind, a backend")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-large", action="store_true", help="no files of gigabytes")
    parser.add_argument("--record", action="store_true", help="write the figures into the page")
    asked = parser.parse_args(args)
    names = asked.backend or list(BACKENDS)
    sys.addaudithook(watch)
    lines = [
        "| backend | files loaded | files refused | runs resumed | runs refused | saves killed | of these with a draft left |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    said = []
    try:
        for name in names:
            backend = importlib.import_module(name)
            loaded = loading(backend, asked.files, asked.seed)
            resumed = resuming(backend, asked.files, asked.seed)
            drafts, most = saving(backend, asked.kills, asked.seed)
            require(most <= 1, f"{name}: {most} drafts at once")
            cells = [loaded["loaded"], loaded["refused"], resumed["resumed"], resumed["refused"]]
            cells += [2 * asked.kills, drafts]
            lines.append(f"| {name} | " + " | ".join(f"{n:,}" for n in cells) + " |")
            print(lines[-1], flush=True)
            said.append(full_disk(backend))
            print(said[-1], flush=True)
        read = tables(asked.files, asked.seed)
        said.append(
            f"{asked.files:,} tables, three times each: {read['read']:,} read, {read['refused']:,} refused"
        )
        print(said[-1], flush=True)
        if not asked.without_large:
            with tempfile.TemporaryDirectory() as folder:
                results = large(Path(folder))
            for what, sentence, took, taken in results:
                print(f"{what}: {took:.2f} s, {taken / 1e6:.0f} MB: {sentence}")
            most_memory = max(results, key=lambda r: r[3])
            longest = max(results, key=lambda r: r[2])
            said.append(
                f"{len(results)} readings of large and endless files: "
                f"at most {longest[2]:.1f} s ({longest[0]}), {most_memory[3] / 1e6:.0f} MB ({most_memory[0]})"
            )
        require(not OPENED, f"a pickle was opened: {OPENED[:3]}")
    except Fault as fault:
        print(f"FAULT: {fault}", file=sys.stderr)
        return 1
    if asked.record:
        record(
            "files",
            "\n".join(lines) + "\n\n" + "\n".join(f"- {line}" for line in dict.fromkeys(said)),
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
