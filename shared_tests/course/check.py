"""The check of one or more engines, as a function: what comes of it can be kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from course.plugin import Progress

SUITE = Path(__file__).parents[1]


class Witness:
    """Runs the tests of the steps that are wanted of each engine, and keeps what was found out."""

    def __init__(self, engines: dict[str, range]) -> None:
        self.engines = engines
        self.progress: dict[str, Progress] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        from course.plugin import STEP  # which is pytest's to import first

        def wanted(item: Any) -> bool:
            return item.stash[STEP] in self.engines[item.callspec.params["backend"].name]

        items[:] = filter(wanted, items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        from course.plugin import Waits, progress_of

        if progress_of(item).first_failing is not None:
            raise Waits("one failure of an engine is enough")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        from course.plugin import PROGRESS

        self.progress = dict(session.config.stash[PROGRESS])


def check(
    engines: dict[str, range], *options: str, plugins: Sequence[object] = ()
) -> dict[str, dict[str, Any]]:
    """How far each engine comes in the steps that are wanted: what is done, and what is wrong."""
    witness = Witness(engines)
    backends = [f"--backend={engine}" for engine in engines]
    quiet = ("-q", "--tb=no", "--no-header", "-p", "no:cacheprovider")
    suite = (str(SUITE), f"--rootdir={SUITE}", f"--step={max(map(max, engines.values()))}")
    pytest.main([*suite, *backends, *quiet, *options], plugins=[*plugins, witness])
    return {name: outcome(progress, engines[name]) for name, progress in witness.progress.items()}


def outcome(progress: Progress, steps: range) -> dict[str, Any]:
    failing = next((step for step in steps if not progress.is_done(step)), None)
    messages = progress.failed.get(failing, ["its tests were not all run to their end"])
    return {
        "done": max(steps) if failing is None else failing - 1,
        "failing": failing,
        "message": messages[0] if failing is not None else "",
        "mistakes": [suspicion.mistake.name for suspicion in progress.suspicions],
    }
