"""The short form of the hour of training."""

from cases.processes import run_script


def test_networks_end_alike_and_leave_no_memory(backend):
    got = run_script(
        backend,
        """
import tempfile
from pathlib import Path
from reliability.endurance import generation
from reliability.memory import resident
with tempfile.TemporaryDirectory() as folder:
    ends = []
    for i in range(12):
        ends.append(generation(m, Path(folder), 6))
        if i == 5:
            result["warm"] = resident()
result["after"] = resident()
result["ends"] = len(set(ends))
""",
    )
    assert got["ends"] == 1, "networks from one seed end with different weights"
    growth = got["after"] - got["warm"]
    assert growth < 1.0, f"memory grew by {growth:.1f} MB while six networks were trained"
