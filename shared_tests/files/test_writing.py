"""Files are written whole or not at all, and into what the path names."""

import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from pure_python.state import files
from pure_python.state.files import write_whole
from pure_python.state.weights import write_safetensors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links, modes and pipes of POSIX")


def named(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, content=b"new"):
    write_whole(path, lambda file: file.write(content))


def in_a_process(code, *args, **options):
    """What a Python of its own prints that has run the code."""
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(
        command,
        env=os.environ | {"PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


def test_content_name_and_folder_reach_the_disk_in_this_order(tmp_path, monkeypatch):
    """The name moves to a file that is on the disk already, and then is on the disk itself."""
    done = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("flush folder" if is_folder else f"flush {os.fstat(descriptor).st_size} bytes")
        fsync(descriptor)

    def recorded_replace(source, target):
        done.append("replace")
        assert os.path.dirname(source) == os.path.dirname(target), "a rename across file systems"
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    write(tmp_path / "a", b"12345")
    assert done == ["flush 5 bytes", "replace", "flush folder"]


def test_a_link_stays_a_link_to_the_file_that_it_names(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "first").write_bytes(b"old")
    (tmp_path / "latest").symlink_to("kept/first")
    write(tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    assert (tmp_path / "kept" / "first").read_bytes() == b"new"
    (tmp_path / "next").symlink_to("kept/second")  # which is not there yet
    write(tmp_path / "next")
    assert (tmp_path / "kept" / "second").read_bytes() == b"new"
    assert named(tmp_path) == ["kept", "latest", "next"] and named(tmp_path / "kept") == [
        "first",
        "second",
    ]


def test_links_in_a_circle(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError) as caught:
        write(tmp_path / "a")
    assert caught.value.errno == errno.ELOOP and str(caught.value).endswith(f"'{tmp_path / 'a'}'")
    assert (tmp_path / "a").is_symlink() and named(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_a_file_keeps_its_mode(tmp_path, mode):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(mode)
    seen = []

    def write_and_look(file):
        seen.append(stat.S_IMODE(os.fstat(file.fileno()).st_mode))
        file.write(b"new")

    write_whole(tmp_path / "a", write_and_look)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
    assert seen == [mode], "a draft is as private as the file"


def test_a_new_file_has_the_mode_of_any_other(tmp_path):
    write(tmp_path / "ours")
    (tmp_path / "other").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_file_keeps_its_owner(tmp_path):
    """Of which root alone can see something: another has no file but its own."""
    (tmp_path / "a").write_bytes(b"old")
    if os.geteuid() == 0:
        os.chown(tmp_path / "a", 12345, 12345)
    before = (tmp_path / "a").stat()
    write(tmp_path / "a")
    after = (tmp_path / "a").stat()
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)


# Whoever is root is bound by no permissions, so it becomes somebody else.
WITHOUT_RIGHTS = """
import os, sys
from pure_python.state.files import write_whole
root = os.geteuid() == 0
if root:
    os.setresuid(65534, 65534, 0)
try:
    write_whole(sys.argv[1], lambda file: file.write(b"new"))
except PermissionError as error:
    print(error)
if root:  # again: what measures the tests writes its files when the process ends
    os.setresuid(0, 0, 0)
"""


@pytest.fixture
def open_folder():
    """A folder that others can reach: those of pytest are private."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize("read_only", ["the folder", "the file"])
def test_a_folder_or_a_file_that_is_read_only(open_folder, read_only):
    folder = open_folder / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"old")
    (folder / "a").chmod(0o444 if read_only == "the file" else 0o666)
    folder.chmod(0o555 if read_only == "the folder" else 0o777)
    done = in_a_process(WITHOUT_RIGHTS, folder / "a")
    folder.chmod(0o755)
    assert done.stdout.strip() == f"[Errno 13] Permission denied: '{folder / 'a'}'", done
    assert (folder / "a").read_bytes() == b"old" and named(folder) == ["a"]


# A file may have so many bytes and no more, as on a disk that is full.
ON_A_FULL_DISK = """
import resource, sys
from pure_python.state.files import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_whole(sys.argv[1], lambda file: file.write(bytes(100_000)))
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("fails", [False, True])
def test_on_windows_the_draft_is_closed_before_it_is_moved_or_removed(fails, tmp_path, monkeypatch):
    """It does neither with a file that is open; owners, locks and flushed folders it does not have."""
    drafts, replace, unlink = [], os.replace, Path.unlink

    def write(file):
        drafts.append(file)
        file.write(b"new")
        if fails:
            raise ValueError

    def replace_as_windows(source, target):
        assert drafts[0].closed
        replace(source, target)

    def unlink_as_windows(path, **options):
        assert drafts[0].closed
        unlink(path, **options)

    monkeypatch.setattr(files, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(os, "replace", replace_as_windows)
    monkeypatch.setattr(Path, "unlink", unlink_as_windows)
    monkeypatch.delattr(os, "fchown")
    monkeypatch.delattr(files, "fcntl")
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(ValueError) if fails else contextlib.nullcontext():
        write_whole(tmp_path / "a", write)
    assert (tmp_path / "a").read_bytes() == (b"old" if fails else b"new")
    assert named(tmp_path) == ["a"]


def test_without_the_safetensors_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError) as caught:
        write_safetensors(tmp_path / "a", {"x": [1.0]})
    for name in ("trigrad-pure-python", "./pure_python"):  # no index may have the first
        assert f'"{name}[saving]"' in str(caught.value)
    assert not named(tmp_path)


def test_a_disk_that_is_full(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    done = in_a_process(ON_A_FULL_DISK, tmp_path / "a")
    assert done.stdout.strip() == f"[Errno 27] File too large: '{tmp_path / 'a'}'", done
    assert (tmp_path / "a").read_bytes() == b"old" and named(tmp_path) == ["a"]


def test_a_device_is_written_to():
    """A rename would put a file in its place. This one is a terminal, where nobody can do that."""
    ours, theirs = os.openpty()
    path = os.ttyname(theirs)
    try:
        write(path)
        assert os.read(ours, 100) == b"new" and stat.S_ISCHR(os.stat(path).st_mode)
    finally:
        os.close(ours)
        os.close(theirs)


def test_standard_output_is_written_to(tmp_path):
    """/dev/stdout is a link: into a pipe, which has no other name, or to a file."""
    code = (
        "from pure_python.state.files import write_whole\n"
        "write_whole('/dev/stdout', lambda file: file.write(b'new'))"
    )
    assert in_a_process(code).stdout == "new"
    with open(tmp_path / "a", "wb") as file:
        command = [sys.executable, "-c", code]
        subprocess.run(command, stdout=file, env=os.environ | {"PYTHONSAFEPATH": "1"}, check=True)
    assert (tmp_path / "a").read_bytes() == b"new" and named(tmp_path) == ["a"]


def test_a_pipe_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write(tmp_path / "pipe")
    reader.join(10)
    assert got == [b"new"] and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_name_as_long_as_can_be(tmp_path):
    for name in ("a" * 255, "ä" * 127, "." * 255):
        write(tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"new"
    with pytest.raises(OSError) as caught:
        write(tmp_path / ("a" * 256))
    assert caught.value.errno == errno.ENAMETOOLONG


KILLED_WHILE_WRITING = """
import os, signal, sys
from pure_python.state.files import write_whole
def write(file):
    file.write(bytes(1_000_000))
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
write_whole(sys.argv[1], write)
"""


def test_what_a_killed_process_leaves_is_removed_by_the_next(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    for _ in range(3):
        done = in_a_process(KILLED_WHILE_WRITING, tmp_path / "a")
        assert done.returncode == -signal.SIGKILL
        assert (tmp_path / "a").read_bytes() == b"old"
        assert len(named(tmp_path)) == 2, "each removes what the one before has left"
    others = [".a.notes.part", ".a.12345678", ".b.12345678.part", ".a.1234567.part"]
    for name in others:
        (tmp_path / name).write_bytes(b"of somebody else")
    write(tmp_path / "a")
    assert named(tmp_path) == sorted(["a", *others])


def test_a_draft_that_is_being_written_is_not_removed(tmp_path):
    """Two who write the same path at once: both succeed, and one of them is the last."""
    inner = []

    def write_while_another_does(file):
        write(tmp_path / "a", b"inner")
        inner.append((tmp_path / "a").read_bytes())
        file.write(b"outer")

    write_whole(tmp_path / "a", write_while_another_does)
    assert inner == [b"inner"] and (tmp_path / "a").read_bytes() == b"outer"
    assert named(tmp_path) == ["a"]


def test_a_draft_that_another_removes_before_it_is_locked(tmp_path, monkeypatch):
    """It took it for one that was left; there is another then."""
    lock, removed = files.lock, []

    def late(file, waiting):
        if not removed:
            removed.append(file.name)
            os.unlink(file.name)
        lock(file, waiting)

    monkeypatch.setattr(files, "lock", late)
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new" and named(tmp_path) == ["a"]
    assert Path(removed[0]).name.startswith(".a.")


def test_threads_that_write_the_same_file(tmp_path):
    contents = [bytes([k]) * 10_000 for k in range(8)]
    failed = []

    def repeat(content):
        try:
            for _ in range(25):
                write(tmp_path / "a", content)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=repeat, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (tmp_path / "a").exists():
            assert (tmp_path / "a").read_bytes() in contents
    assert not failed and named(tmp_path) == ["a"]
