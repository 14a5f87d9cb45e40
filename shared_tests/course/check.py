"""The check of one or more engines, as a function: what comes of it can be kept."""

from __future__ import annotations

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

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        from course.plugin import PROGRESS

        self.progress = dict(session.config.stash[PROGRESS])


def check(engines: dict[str, range], *options: str) -> dict[str, dict[str, Any]]:
    """How far each engine comes in the steps that are wanted: what is done, and what is wrong."""
    witness = Witness(engines)
    backends = [f"--backend={engine}" for engine in engines]
    quiet = ("-q", "--tb=no", "--no-header", "-p", "no:cacheprovider")
    suite = (str(SUITE), f"--rootdir={SUITE}", f"--step={max(map(max, engines.values()))}")
    pytest.main([*suite, *backends, *quiet, *options], plugins=[witness])
    return {
        name: outcome(progress, max(engines[name])) for name, progress in witness.progress.items()
    }


def outcome(progress: Progress, step: int) -> dict[str, Any]:
    failing = progress.first_failing
    return {
        "done": step if failing is None else failing - 1,
        "failing": failing,
        "message": progress.failed[failing][0] if failing is not None else "",
        "mistakes": [suspicion.mistake.name for suspicion in progress.suspicions],
        "seen": [suspicion.seen for suspicion in progress.suspicions],
    }
