"""What else a backend costs: the time of its import, and memory."""

from __future__ import annotations

import subprocess
import sys

from .chain import of_values


class Import:
    """The import of a module in a fresh interpreter, whose own start does not count."""

    def __init__(self, module: str) -> None:
        self.script = (
            "from time import perf_counter as now\n"
            f"start = now()\nimport {module}\n"
            f"print(now() - start if {module}.__file__ else 'only a folder')"
        )

    def check(self) -> list[float]:
        """No numbers, only that it can be imported: else ImportError."""
        self.once()
        return []

    def once(self) -> float:
        done = subprocess.run([sys.executable, "-c", self.script], capture_output=True, text=True)
        try:
            return float(done.stdout)
        except ValueError:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise ImportError(*last) from None

    def turn(self, loops: int) -> dict[str, float]:
        return {"import": sum(self.once() for _ in range(loops)) / loops}


class Memory:
    """A graph is built, walked back and freed once; resident memory before, between and after."""

    def __init__(self, kind: str, nodes: int, engine: str) -> None:
        of_values(kind, 1000, engine).turn(1)  # whatever the first graph makes a process load
        self.graphs = of_values(kind, nodes, engine)

    def check(self) -> list[float]:
        return []

    def turn(self, loops: int) -> dict[str, float]:
        import psutil  # resident memory, on every system alike

        resident = psutil.Process().memory_info
        nodes = self.graphs.nodes
        before = resident().rss
        root = self.graphs.build()
        built = resident().rss
        root.backward()
        walked = resident().rss
        del root
        freed = resident().rss
        return {
            "bytes a node": (built - before) / nodes,
            "bytes a node, after backward": (walked - before) / nodes,
            "bytes left": freed - before,
        }
