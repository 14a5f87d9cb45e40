"""What a run leaves: a page of tables, a plot, and the raw figures."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import pyperf

from .contest import BLAS_SETTINGS, Outcome, Ratio
from .targets import Verdict, judge, ratio

PACKAGES = (
    *("trigrad-pure-python", "trigrad-numpy-vectorized", "trigrad-cython-core", "numpy", "torch"),
    *("jax", "jaxlib", "casadi", "autograd", "mygrad", "micrograd", "pyperf"),
)


def machine(outcomes: list[Outcome], quick: bool) -> dict[str, Any]:
    """What the figures depend on."""
    facts = pyperf.Run([1.0], metadata={"name": "machine"}, collect_metadata=True).get_metadata()
    wanted = ("cpu_model_name", "cpu_count", "cpu_config", "aslr", "load_avg_1min", "platform")
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    pools = {
        (pool["internal_api"], pool["version"], pool["architecture"])
        for outcome in outcomes
        for found in outcome.pools.values()
        for pool in found
    }
    return {
        "machine": {k: str(facts[k]) for k in wanted if k in facts},
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler of Python": platform.python_compiler(),
        "versions": versions,
        "libraries that computed": sorted(
            " ".join(str(part) for part in pool if part) for pool in pools
        ),
        "settings removed": {k: v for k, v in os.environ.items() if k.startswith(BLAS_SETTINGS)},
        "quick": quick,
    }


# Tables ---------------------------------------------------------------------------------------


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]


def number(x: float) -> str:
    """Three digits."""
    if x == 0.0 or not math.isfinite(x):
        return f"{x:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(x))))
    return f"{x:.{digits}f}"


def seconds(x: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if x * factor >= 1.0:
            return f"{number(x * factor)} {unit}"
    return f"{number(x * 1e9)} ns"


def spread(r: Ratio | None) -> str:
    """The median, and the quartiles."""
    return "" if r is None else f"{number(r.median)} ({number(r.low)} to {number(r.high)})"


def target_table(verdicts: list[Any]) -> list[str]:
    rows = []
    for v in verdicts:
        target = v.target if isinstance(v, Verdict) else v
        limit = f"≤ {target.limit:g}{target.unit}"
        row = [target.what, target.against, limit]
        if isinstance(v, Verdict):
            where = v.where if v.count == 1 else f"{v.where}; best of {v.count}: "
            where += "" if v.count == 1 else number(v.best.median)
            row += [spread(v.worst), where, str(v)]
        else:
            row += ["", "", "not measured"]
        rows.append(row)
    header = ["what", "against", "target", "measured, the worst", "where", "verdict"]
    return table(header, rows)


def graph_tables(kind: str, outcomes: list[Outcome]) -> list[str]:
    """Nanoseconds an operation by size, and how many times the float's."""
    built = [o for o in outcomes if o.contest.workload == kind and "float" in o.times]
    names = list(dict.fromkeys(name for o in built for name in o.times))
    rows = []
    for name in names:
        row = [name]
        for o in built:
            times = o.times.get(name, {}).get("all")
            over = ratio(o, "all", name, "float")
            ns = f"{number(1e9 * statistics.median(times))}" if times else ""
            row.append(f"{ns} ({number(over.median)})" if over else ns)
        rows.append(row)
    lines = table(["forward + backward + free", *(o.contest.case for o in built)], rows)
    rows = []
    for o in built:
        phases = o.times.get("cython_core", {})
        cells = [number(1e9 * statistics.median(times)) for times in phases.values()]
        rows.append([f"{o.contest.case} operations", *cells])
        header = [f"cython_core, {kind}", *phases]
    lines += ["", *table(header, rows)] if any(len(row) > 1 for row in rows) else []
    for o in outcomes:
        if o.contest.workload == kind and "replayed" in o.contest.case:
            lines += ["", *contest_table(o, "all", "casadi", f"{kind}, {o.contest.case}")]
    return lines


def contest_table(o: Outcome, phase: str, base: str, title: str) -> list[str]:
    """A row a contestant: its time, and its ratio to one of them."""
    rows = []
    for name, phases in o.times.items():
        if phase not in phases:
            continue
        over = ratio(o, phase, name, base)
        rows.append([name, seconds(statistics.median(phases[phase])), spread(over)])
    return table([title, "median", f"over {base}"], rows)


def network_table(outcomes: list[Outcome]) -> list[str]:
    """A row a network and number of threads: all as a ratio to NumPy by hand."""
    names = ["numpy_vectorized", "numpy_vectorized, Tape", "torch", "jax"]
    rows = []
    for o in outcomes:
        if o.contest.workload != "networks":
            continue
        for end in (", 1 thread", ", 2 threads"):
            hand = f"NumPy by hand{end}"
            if hand not in o.times:
                continue
            ratios = [ratio(o, "step", name + end, hand) for name in names]
            time = seconds(statistics.median(o.times[hand]["step"]))
            rows.append([o.contest.case + end, time, *map(spread, ratios)])
    return table(["network, samples", "NumPy by hand", *names], rows)


def memory_table(outcomes: list[Outcome]) -> list[str]:
    rows = []
    for o in outcomes:
        if o.contest.workload == "memory":
            for name, phases in o.times.items():
                bytes_built, bytes_walked, left = map(statistics.median, phases.values())
                cells = [number(bytes_built), number(bytes_walked), number(left / 1e6)]
                rows.append([f"{o.contest.case}, {name}", *cells])
    header = ["graph", "bytes a node, built", "after backward", "MB left when it is freed"]
    return table(header, rows)


def page(outcomes: list[Outcome], facts: dict[str, Any], picture: str) -> str:
    """All tables, as Markdown."""
    by_workload = {o.contest.workload: o for o in outcomes}
    lines = [f"![The figures]({picture})", "", "### Targets", "", *target_table(judge(outcomes))]
    for kind, title in (("chain", "A chain"), ("dag", "A random graph")):
        if kind in by_workload:
            lines += ["", f"### {title}: nanoseconds an operation (times the float's)", ""]
            lines += graph_tables(kind, outcomes)
    if "memory" in by_workload:
        lines += ["", "### Memory", "", *memory_table(outcomes)]
    for workload, title, phase, base in (
        ("moons", "Two moons", "step", "torch"),
        ("gpt", "The small GPT", "step", "slots Value, scalar style"),
        ("imports", "Imports", "import", "import numpy"),
    ):
        if workload in by_workload:
            o = by_workload[workload]
            lines += ["", f"### {title}", "", *contest_table(o, phase, base, o.contest.case)]
    if "networks" in by_workload:
        lines += ["", "### Networks, over NumPy by hand", "", *network_table(outcomes)]
    lines += ["", "### Machine and settings", "", *settings(outcomes, facts)]
    return "\n".join(lines) + "\n"


def settings(outcomes: list[Outcome], facts: dict[str, Any]) -> list[str]:
    rounds = sorted({len(t) for o in outcomes for p in o.times.values() for t in p.values()})
    compared = [o for o in outcomes if math.isfinite(o.contest.tolerance)]
    gaps = {
        tolerance: max(
            d for o in compared if o.contest.tolerance == tolerance for d in o.differences.values()
        )
        for tolerance in sorted({o.contest.tolerance for o in compared})
    }
    agreed = "; ".join(f"{gap:.1e} where {limit:g} was allowed" for limit, gap in gaps.items())
    removed = ", ".join(f"`{k}={v}`" for k, v in facts["settings removed"].items()) or "none"
    lines = [
        f"- {'Quick run' if facts['quick'] else 'Full run'}, {rounds[0]} to {rounds[-1]} rounds."
        if rounds
        else "- Nothing was measured.",
        "- " + ", ".join(f"{k}: {v}" for k, v in facts["machine"].items()),
        f"- {facts['python']}, {facts['compiler of Python']}",
        "- " + ", ".join(f"{k} {v}" for k, v in facts["versions"].items()),
        "- Libraries that computed: " + "; ".join(facts["libraries that computed"]),
        f"- BLAS settings of the surroundings that were removed before measuring: {removed}",
        f"- Numbers were compared before anything was timed; the largest difference: {agreed}",
    ]
    for o in outcomes:
        where = f"{o.contest.workload}, {o.contest.case}"
        lines += [f"- Missing: {who} ({where}): {why}" for who, why in o.missing.items()]
        lines += [
            f"- **Failed**: {who} ({where}): {why.strip().splitlines()[-1]}"
            for who, why in o.failed.items()
        ]
    return lines


# Raw figures ----------------------------------------------------------------------------------


def raw(outcomes: list[Outcome], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything that was measured and judged."""
    judged = []
    for v in judge(outcomes):
        target = v.target if isinstance(v, Verdict) else v
        entry = {"what": target.what, "against": target.against, "limit": target.limit}
        if isinstance(v, Verdict):
            entry |= {"worst": asdict(v.worst), "where": v.where, "verdict": str(v)}
        entry["figures"] = [
            {"label": f.label, **asdict(r)} for f in target.figures if (r := f.of(outcomes))
        ]
        judged.append(entry)
    contests = [
        {
            "workload": o.contest.workload,
            "case": o.contest.case,
            "tolerance": finite(o.contest.tolerance),
            "missing": o.missing,
            "failed": o.failed,
            "contestants": {
                name: {
                    "loops": o.loops[name],
                    "difference": finite(o.differences[name]),
                    "pools": o.pools.get(name),
                    "values": phases,
                }
                for name, phases in o.times.items()
            },
        }
        for o in outcomes
    ]
    return {**facts, "targets": judged, "contests": contests}


def finite(x: float) -> float | None:
    return x if math.isfinite(x) else None


def pyperf_suite(outcomes: list[Outcome]) -> pyperf.BenchmarkSuite | None:
    """All times in pyperf's own format: `python -m pyperf stats times.json` and its other tools."""
    benchmarks = []
    for o in outcomes:
        if o.contest.workload == "memory":
            continue
        for name, phases in o.times.items():
            for phase, values in phases.items():
                title = f"{o.contest.workload}, {o.contest.case}: {name}: {phase}"
                run = pyperf.Run(
                    [max(v, 1e-12) for v in values],  # it takes none of zero
                    metadata={"name": title, "loops": o.loops[name]},
                    collect_metadata=False,
                )
                benchmarks.append(pyperf.Benchmark([run]))
    return pyperf.BenchmarkSuite(benchmarks) if benchmarks else None


def write(outcomes: list[Outcome], quick: bool, out: Path) -> str:
    """Everything into a folder; the page."""
    from .plot import figure

    out.mkdir(parents=True, exist_ok=True)
    facts = machine(outcomes, quick)
    (out / "figures.json").write_text(
        json.dumps(raw(outcomes, facts), indent=1, ensure_ascii=False), encoding="utf-8"
    )
    suite = pyperf_suite(outcomes)
    if suite:
        suite.dump(str(out / "times.json"), replace=True)
    figure(outcomes).savefig(out / "performance.png", dpi=110, facecolor="white")
    text = page(outcomes, facts, "performance.png")
    (out / "performance.md").write_text("# Performance\n\n" + text, encoding="utf-8")
    return text
