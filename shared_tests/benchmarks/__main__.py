"""`python -m benchmarks`, as `nox -s bench` runs it: measure, write, and say what was met."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from .contest import Outcome, Stage
from .plan import contests
from .report import write
from .targets import Verdict, judge
from .worker import BACKENDS


def main(args: list[str] | None = None) -> int:
    """The exit code: 1 where a backend is missing, or anyone failed or computed other numbers."""
    parser = argparse.ArgumentParser(
        prog="bench", description="The backends, their peers and targets."
    )
    parser.add_argument("--quick", action="store_true", help="smaller and fewer: below 2 minutes")
    parser.add_argument("--only", action="append", help="a workload; repeatable [default: all]")
    parser.add_argument("--out", type=Path, help="folder [default: one for temporary files]")
    parser.add_argument("--page", type=Path, help="also bring the figures of this page up to date")
    options = parser.parse_args(args)
    stages = contests(options.quick)
    known = sorted({stage[0].workload for stage in stages})
    for name in options.only or ():
        if name not in known:
            parser.error(f"--only: there is no workload {name}; choose from {', '.join(known)}")
    out = options.out or Path(tempfile.gettempdir()) / "trigrad-benchmarks"
    seconds, rounds = (0.02, 5) if options.quick else (0.1, 11)
    began = time.perf_counter()
    outcomes: list[Outcome] = []

    def say(line: str) -> None:
        print(f"{time.perf_counter() - began:6.1f} s  {line}", flush=True)

    for stage_contests in stages:
        if options.only and stage_contests[0].workload not in options.only:
            continue
        with Stage(seconds, rounds, say) as stage:
            for contest in stage_contests:
                say(f"{contest.workload}, {contest.case}: {len(contest.contestants)} contestants")
                outcomes.append(stage.run(contest))
    page = write(outcomes, options.quick, out)
    if options.page:
        renew(options.page, page, out / "performance.png")
    for v in judge(outcomes):
        if isinstance(v, Verdict):
            print(f"{v.worst.median:9.4g} of {v.target.limit:<6g} {v}: {v.target.what}")
    say(f"written to {out}: performance.md, performance.png, figures.json, times.json")
    wrong = [who for o in outcomes for who in o.failed]
    wrong += [who for o in outcomes for who in o.missing if who.startswith(BACKENDS)]
    if wrong:
        print(f"failed: {', '.join(dict.fromkeys(wrong))}")
    return 1 if wrong else 0


def renew(path: Path, figures: str, picture: Path) -> None:
    """Put the figures between the two marks of a page, and the plot into the folder beside it."""
    text = path.read_text(encoding="utf-8")
    begin, end = "<!-- figures -->\n", "<!-- end of figures -->"
    if begin not in text or end not in text:
        raise SystemExit(f"{path} has no {begin.strip()} and {end} to write between")
    before, rest = text.split(begin, 1)
    figures = figures.replace(f"({picture.name})", f"(images/{picture.name})")
    path.write_text(before + begin + figures + end + rest.split(end, 1)[1], encoding="utf-8")
    shutil.copyfile(picture, path.parent / "images" / picture.name)


if __name__ == "__main__":
    raise SystemExit(main())
