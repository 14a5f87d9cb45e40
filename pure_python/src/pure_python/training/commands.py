"""The commands of `python -m BACKEND`: their options, and what each does."""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from pure_python.state import ACTIVATIONS
from pure_python.state.files import write_whole

from . import checkpoint, cli, datasets, earlier
from .configuration import Source, read
from .csv_files import Table, printable, read_table, shown
from .errors import INTERRUPTED, InputError, Stopped, failed, interrupted
from .objective import LOSSES, Objective
from .trainer import INITS, OPTIMIZERS, SCHEDULES, Diverged, scores


class QuotingBash(BashComplete):
    """Quotes names with spaces, such as those of columns. Click leaves that to the other shells."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        items = super().get_completions(args, incomplete)
        try:
            shlex.split(os.environ["COMP_WORDS"])
        except ValueError:  # the word stands in quotes already
            return items
        # All or none, since bash writes what they begin with alike.
        if any(re.search(r"[^\w@%+=:,./-]", item.value) for item in items if item.type == "plain"):
            for item in items:
                item.value = shlex.quote(item.value)
        return items


SHELLS: dict[str, type[ShellComplete]] = {
    "bash": QuotingBash,
    "zsh": ZshComplete,
    "fish": FishComplete,
}
add_completion_class(QuotingBash)  # under the name of the one that it extends
# What training asks of an engine: its names in the interface.
NEEDED = (
    "MLP SGD Adam AdamW no_grad hinge_loss mse_loss cross_entropy binary_cross_entropy_with_logits"
).split()


def run(backend: str, args: Sequence[str], program: str) -> int:
    """Run the command line for the engine in the module named `backend`; the exit code."""
    return carry_out(command_line, args or ["--help"], program, backend)


def carry_out(
    command: click.Command, args: Sequence[str] | None, program: str, backend: str | None = None
) -> int:
    """Run a command and turn whatever went wrong into one line and an exit code.

    0 if all went well, 2 for bad input, 1 if the run failed, 130 after Ctrl-C: one line on
    standard error says why, as JSON where --json is given. Where the output is read no further,
    Click exits with 1 itself.
    """
    as_json = "--json" in (args or ())
    try:
        result = command.main(
            args=None if args is None else list(args),
            prog_name=program,
            standalone_mode=False,
            obj=backend,
        )
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        return failed(error.format_message(), 2, as_json)
    except InputError as error:
        return failed(str(error), 2, as_json)
    except MemoryError:
        message = "there is not enough memory for this; use fewer or smaller layers or batches"
        return failed(message, 2, as_json)
    except Diverged as error:
        return failed(str(error), 1, as_json)
    except (Stopped, click.Abort) as error:  # the latter while the line was read
        return failed(str(error), INTERRUPTED, as_json) if error.args else interrupted(as_json)
    except OSError as error:
        return failed(f"{error.filename or 'output'}: {error.strerror or error}", 1, as_json)


class CommandLine(click.Group):
    """Commands that Ctrl-C stops. Click would print an empty line first, also where nobody watches."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Stopped from None


def _say_version(ctx: click.Context, param: Any, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(cli.version_line(ctx.obj))
        ctx.exit()


VERSION = click.option(
    "--version",
    is_flag=True,
    is_eager=True,  # before what is missing on the line is asked for
    expose_value=False,
    callback=_say_version,
    help="Show the version and exit.",
)


@click.group(
    cls=CommandLine,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@VERSION
def command_line() -> None:
    """Train small neural networks on small data, with an engine that you can read.

    \b
    Examples:
      train moons
      train digits --hidden 64,32 --epochs 20 --save digits.safetensors
      train --csv flowers.csv --target species --save flowers.safetensors
      predict --weights flowers.safetensors --csv more-flowers.csv
      runs compare first second
      playground
    """


class Layers(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Hidden layers: sizes with commas between them, or `none`."""

    name = "sizes"

    def convert(self, text: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if text.strip().lower() == "none":
            return ()
        try:
            sizes = tuple(int(part) for part in text.split(","))
        except ValueError:
            sizes = (0,)
        if min(sizes) < 1 or "_" in text:
            raise InputError(
                f"--hidden {shown(text)}: sizes of 1 or more with commas between them are "
                "expected, such as 16,16, or none"
            )
        return sizes


class DatasetName(click.Choice):  # type: ignore[type-arg,unused-ignore]
    """A data set by name. For a file in its place it is said how a file is given."""

    def convert(self, text: Any, param: Any, ctx: Any) -> str:
        if text not in datasets.NAMES:
            raise InputError(
                f"{shown(text)} is none of {', '.join(datasets.NAMES)}; "
                "a file is --csv FILE --target COLUMN"
            )
        return str(text)


class PathName(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A path as it is typed, which a shell completes with its own: `file` or `dir`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, text: Any, param: Any, ctx: Any) -> str:
        if text == "":  # as a shell gives for a variable that is not set
            raise InputError(f"{param.opts[0]} '': a name is expected, got none")
        return str(text)

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type=self.name)]


def columns(ctx: click.Context, param: Any, incomplete: str) -> list[str]:
    """The columns of the CSV file that a half-written line names, as far as they fit."""
    try:
        names = read_table(ctx.params.get("csv_path") or "").columns
    except InputError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def names_of_runs(ctx: click.Context, param: Any, incomplete: str) -> list[str]:
    """The runs that `runs compare` can be given, the newest first."""
    folder = ctx.params.get("folder") or earlier.RUNS
    try:
        paths = [os.path.relpath(run.path, folder) for run in earlier.find(folder)[0]]
    except InputError:
        return []
    return [path for path in paths if path.startswith(incomplete)]


JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, and an error as one too."
)


@command_line.command()
@click.argument("dataset", required=False, metavar="[DATASET]", type=DatasetName(datasets.NAMES))
@click.option(
    "--csv",
    "csv_path",
    type=PathName("file"),
    metavar="FILE",
    help="Learn from a CSV file with a header.",
)
@click.option(
    "--target",
    metavar="COLUMN",
    shell_complete=columns,
    help="The column of the CSV file that holds the class.",
)
@click.option(
    "--ignore",
    metavar="COLUMN",
    multiple=True,
    shell_complete=columns,
    help="A column to leave out; repeatable.",
)
@click.option(
    "--samples", type=click.IntRange(min=1), help="Generate, or use, only so many samples."
)
@click.option("--validation", type=float, help="Fraction of the samples held out.  [default: 0.2]")
@click.option("--hidden", type=Layers(), help="Sizes of the hidden layers, such as 16,16, or none.")
@click.option("--activation", type=click.Choice(ACTIVATIONS), help="Of the hidden layers.")
@click.option("--init", type=click.Choice(INITS), help="How the first weights are drawn.")
@click.option("--loss", type=click.Choice(LOSSES), help="What is made small.")
@click.option(
    "--optimizer", type=click.Choice(OPTIMIZERS), help="How the weights follow the gradient."
)
@click.option("--lr", type=float, help="Learning rate.")
@click.option("--schedule", type=click.Choice(SCHEDULES), help="How the learning rate falls.")
@click.option("--warmup", type=int, metavar="EPOCHS", help="Let the learning rate rise at first.")
@click.option("--momentum", type=float, help="For sgd: how much of the last step is kept.")
@click.option("--weight-decay", "--l2", type=float, help="Pull of the weights towards zero.")
@click.option("--epochs", type=int, help="Times through the data; after --resume, more times.")
@click.option("--batch-size", type=int, help="Samples in one step.")
@click.option(
    "--early-stopping",
    type=int,
    metavar="EPOCHS",
    help="End when the held-out loss has not fallen for so many, and keep the best weights.",
)
@click.option(
    "--class-weight",
    metavar="WEIGHTS",
    help="How much samples count: balanced, equal, or by class, such as yes=2,no=0.5.",
)
@click.option("--seed", type=int, help="Of weights, split and order.  [default: 1337]")
@click.option(
    "--resume",
    type=PathName("file"),
    metavar="FILE",
    help="Go on from a weights file, or from the run in a folder.",
)
@click.option(
    "--config",
    type=PathName("file"),
    metavar="FILE",
    help="Train as the run.toml of an earlier run says; options given here go first.",
)
@click.option("--save", type=PathName("file"), metavar="FILE", help="Write the weights here too.")
@click.option(
    "--out",
    type=PathName("dir"),
    metavar="DIR",
    help="Where results go.  [default: a new folder in runs/]",
)
@click.option("--no-out", is_flag=True, help="Write no results but what --save asks for.")
@click.option(
    "--diagnose", is_flag=True, help="Look for mistakes while training, and say what is found."
)
@JSON
@VERSION
@click.pass_obj
def train(
    backend_name: str,
    /,
    dataset: str | None,
    csv_path: str | None,
    target: str | None,
    ignore: tuple[str, ...],
    samples: int | None,
    resume: str | None,
    config: str | None,
    save: str | None,
    out: str | None,
    no_out: bool,
    diagnose: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Train a network on DATASET, or on a CSV file.

    DATASET is moons, circles or spiral (generated), or iris, breast-cancer or digits (real data
    that scikit-learn carries).

    Options left out get values that suit the data set. Features are standardised; classes are
    whatever the target column holds. Ctrl-C ends the run and keeps what was learnt.

    \b
    Examples:
      train moons
      train spiral --hidden 32,32 --activation tanh --epochs 200
      train digits --optimizer adamw --lr 0.003 --out runs/digits
      train --csv flowers.csv --target species --ignore id
      train --csv flowers.csv --target species --class-weight balanced --early-stopping 10
      train digits --schedule cosine --warmup 2
      train moons --resume runs/moons/weights.safetensors --epochs 20
      train --config runs/digits/run.toml
      train digits --epochs 5 --json
    """
    from .run import Run  # with a library for the terminal, which completing a line needs not

    if out is not None and no_out:
        raise InputError("--out and --no-out exclude each other")
    configuration = read(config) if config else None
    source = configuration.source if configuration else Source()
    source = source.changed(dataset, csv_path, target, ignore, samples)
    if configuration:
        given = {name: option for name, option in options.items() if option is not None}
        options = configuration.settings | given
        resume = resume or configuration.resume
        configuration.check_files(source.csv_path, resume)
    if resume is not None:
        resume = weights_in(resume)
    if out is not None:
        _check_no_other_run(out, resume, configuration.path if configuration else None)
    run = Run.prepare(
        backend_named(backend_name),
        source,
        options,
        resume,
        save,
        out,
        not no_out,
        diagnose,
        configuration,
    )
    if not run.carry_out(quiet=as_json):
        raise Stopped("stopped by Ctrl-C before the first step; nothing was written")
    if as_json:
        click.echo(json.dumps(run.summary()))
    else:
        run.show()
    if run.interrupted:
        epoch = run.trainer.history.epochs[-1]["epoch"]
        left = "what was learnt is kept" if run.written else "nothing was written"
        raise Stopped(f"stopped by Ctrl-C in epoch {epoch}; {left}")
    return 0


@command_line.command(short_help="Apply saved weights to a CSV file.")
@click.option(
    "--weights",
    type=PathName("file"),
    metavar="FILE",
    required=True,
    help="Weights written by train, or the folder of a run.",
)
@click.option(
    "--csv",
    "csv_path",
    type=PathName("file"),
    metavar="FILE",
    required=True,
    help="Rows to predict, with a header.",
)
@click.option(
    "--out",
    type=PathName("file"),
    metavar="FILE",
    help="Where the table goes.  [default: standard output]",
)
@JSON
@VERSION
@click.pass_obj
def predict(backend_name: str, weights: str, csv_path: str, out: str | None, as_json: bool) -> int:
    """Apply saved weights to a CSV file: the same table with a column `prediction`.

    Columns are found by name; those that were not trained on are passed through. --json prints the
    predictions in the order of the rows, and the share of rows that agree where the class is known.

    \b
    Examples:
      predict --weights flowers.safetensors --csv more-flowers.csv
      predict --weights flowers.safetensors --csv more-flowers.csv --out predicted.csv
      predict --weights flowers.safetensors --csv more-flowers.csv --json
    """
    weights = weights_in(weights)
    saved = checkpoint.read(weights)
    table, inputs = datasets.rows_to_predict(csv_path, saved.features)
    if out is not None:
        _check_output(out, weights, csv_path)
    backend = backend_named(backend_name)
    with np.errstate(all="ignore"):
        outputs = _scores(backend, saved, inputs, table)
    chosen = Objective(backend, saved.settings.loss, len(saved.classes)).chosen(outputs)
    labels = [saved.classes[k] for k in chosen]
    name = "prediction"
    while name in table.columns:
        name += "_"
    written = io.StringIO()
    writer = csv.writer(written, delimiter=table.separator, lineterminator="\n")
    writer.writerow([*table.columns, name])
    writer.writerows([*row, label] for row, label in zip(table.rows, labels, strict=True))
    if out is not None:
        write_whole(out, lambda file: file.write(written.getvalue().encode()))
    elif not as_json:
        click.echo(written.getvalue(), nl=False)
    if out is not None and not as_json:
        click.echo(f"written {printable(out)}", err=True)
    agreement = _agreement(saved, table, labels)
    if as_json:
        summary = {"rows": len(labels), "predictions": labels, "agreement": agreement, "out": out}
        click.echo(json.dumps(summary))
    elif agreement is not None:
        share = f"{100 * agreement:.1f} % of {len(labels)} rows"
        click.echo(f"{share} agree with column {shown(saved.target_name)}", err=True)
    return 0


def weights_in(path: str) -> str:
    """The weights file at a path: for the folder of a run, the one in it."""
    return os.path.join(path, earlier.WEIGHTS) if os.path.isdir(path) else path


def _agreement(saved: checkpoint.Checkpoint, table: Table, labels: list[str]) -> float | None:
    """The share of rows that are what was predicted; None where the table does not say."""
    if saved.target_name not in table.columns:
        return None
    actual = [datasets.class_name(cell) for cell in table.texts(saved.target_name)]
    # A column of blanks or question marks waits to be filled, and there is nothing to agree with.
    if set(saved.classes).isdisjoint(actual):
        return None
    return sum(a == b for a, b in zip(actual, labels, strict=True)) / len(labels)


class ListByDefault(click.Group):
    """A group whose command `list` is meant where none is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks_for_help = args[:1] == ["-h"] or args[:1] == ["--help"]
        bare = not args or (args[0].startswith("-") and not asks_for_help)
        # On a half-written line, what follows may be the name of a command.
        return super().parse_args(
            ctx, ["list", *args] if bare and not ctx.resilient_parsing else args
        )


FOLDER = click.option(
    "--in",
    "folder",
    type=PathName("dir"),
    metavar="DIR",
    default=earlier.RUNS,
    show_default=True,
    help="Where runs are.",
)


@command_line.group(cls=ListByDefault)
def runs() -> None:
    """List earlier runs, or compare some.

    \b
    Examples:
      runs
      runs --in runs/demo --json
      runs compare first second
    """


@runs.command("list")
@FOLDER
@JSON
@VERSION
def list_runs(folder: str, as_json: bool) -> int:
    """The runs in a folder, the newest first.

    A run whose results cannot be read is named on standard error.

    \b
    Examples:
      runs
      runs list --in runs/demo --json
    """
    from .terminal import show_table

    found, damaged = earlier.find(folder)
    if as_json:
        faults = [{"run": path, "fault": fault} for path, fault in damaged]
        click.echo(json.dumps({"runs": [run.row() for run in found], "damaged": faults}))
        return 0
    if found:
        rows = [earlier.listed(run, folder) for run in found]
        title = f"{len(found)} in {folder}, the newest first"
        show_table(title, earlier.HEADER, rows, earlier.SPARE)
    else:
        click.echo(f"no runs in {folder}")
    for path, fault in damaged:
        click.echo(f"damaged: {path}: {fault}", err=True)
    return 0


@runs.command()
@click.argument(
    "names", metavar="RUN RUN...", nargs=-1, required=True, shell_complete=names_of_runs
)
@FOLDER
@JSON
@VERSION
def compare(names: tuple[str, ...], folder: str, as_json: bool) -> int:
    """What differs between runs, and what each came to, side by side.

    RUN is a name that `runs` lists, or a folder.

    \b
    Examples:
      runs compare first second
      runs compare first second third --json
    """
    from .terminal import show_table

    if len(names) < 2:
        raise InputError("runs compare: two runs or more are expected")
    found = earlier.named(names, folder)
    differing, results = earlier.differences(found), earlier.results(found)
    if as_json:
        paths = [run.path for run in found]
        click.echo(json.dumps({"runs": paths, "differences": differing, "results": results}))
        return 0
    for title, told in (("What differs", differing), ("What came of it", results)):
        rows = [[name, *(earlier.shown(name, x) for x in row)] for name, row in told.items()]
        header = ["", *(os.path.basename(os.path.normpath(name)) for name in names)]
        if rows:
            show_table(title, header, [[row[0].replace("_", " "), *row[1:]] for row in rows])
        else:
            click.echo("Nothing differs: neither data nor settings nor versions.")
    return 0


@command_line.command(short_help="Print what makes a shell complete what is typed.")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@VERSION
@click.pass_obj
def completion(backend_name: str, shell: str) -> int:
    """Print what makes a shell complete commands, options, files, columns and runs.

    It completes for `trigrad-...`, which pip installs beside each backend and which does the same as
    `python -m`: shells look up how to complete a line by its first word.

    \b
    Examples:
      eval "$(trigrad-cython-core completion bash)"             in ~/.bashrc
      eval "$(trigrad-cython-core completion zsh)"              in ~/.zshrc
      trigrad-cython-core completion fish | source              in ~/.config/fish/config.fish
    """
    program = cli.distribution(backend_name)
    variable = f"_{program}_COMPLETE".replace("-", "_").upper()
    click.echo(SHELLS[shell](command_line, {}, program, variable).source())
    return 0


@command_line.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Where the page is served.  [default: a free port]",
)
@click.option("--no-open", is_flag=True, help="Print the address and open no browser.")
@VERSION
@click.pass_obj
def playground(backend_name: str, port: int, no_open: bool) -> int:
    """Open a page on this machine in which a network trains live.

    \b
    Examples:
      playground
      playground --port 8000 --no-open
    """
    from pure_python.playground.command import serve  # needs libraries that the others do not

    serve(backend_name, port, not no_open)
    return 0


def _scores(
    backend: ModuleType, saved: checkpoint.Checkpoint, inputs: np.ndarray, table: Table
) -> np.ndarray:
    outputs = scores(backend, saved.model(backend), saved.scaling(inputs))
    finite = np.isfinite(outputs).reshape(len(inputs), -1).all(axis=1)
    if not finite.all():
        line = table.lines[int(np.argmin(finite))]
        raise InputError(f"{table.path}, line {line}: the numbers are too large for this network")
    return outputs


def _check_no_other_run(out: str, *ours: str | None) -> None:
    """InputError for a folder with the results of a run that is not gone on from, or made again."""
    of_a_run = {os.path.realpath(os.path.join(out, name)) for name in earlier.FILES}
    own = {os.path.realpath(path) for path in ours if path is not None}
    if any(map(os.path.lexists, of_a_run)) and of_a_run.isdisjoint(own):
        raise InputError(
            f"--out {out}: this folder holds the results of another run; "
            "give another name, or remove it"
        )


def _check_output(out: str, *inputs: str) -> None:
    folder = Path(out).parent
    if Path(out).is_dir():
        raise InputError(f"--out {out}: this is a folder, a file is expected")
    if not folder.is_dir():
        raise InputError(f"--out {out}: there is no folder {folder}")
    for path in inputs:
        if Path(out).exists() and os.path.samefile(out, path):
            raise InputError(f"--out {out}: this would overwrite what is read")


def backend_named(name: str) -> ModuleType:
    """The engine in the module of this name. InputError if there is none."""
    try:
        backend = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise InputError(f"no backend {shown(name)}: it is not installed") from None
    missing = [part for part in NEEDED if not hasattr(backend, part)]
    if missing:
        raise InputError(f"backend {name} has no {', '.join(missing)}; training needs them")
    return backend
