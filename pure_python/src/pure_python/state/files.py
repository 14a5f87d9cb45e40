"""Files: written whole or not at all, opened only if they are files, known by how they begin."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

# On Windows a file that somebody has open cannot be removed anyway.
if sys.platform != "win32":  # pragma: no branch - the other one is taken there alone
    import fcntl

# Of the name of a file, what its draft is called after: a name has at most 255 bytes.
LONGEST_STEM = 100
NOT_WAITING = getattr(os, "O_NONBLOCK", 0)  # for somebody at the other end of a pipe

# By their first eight bytes, or fewer. What is a word alone may be the first name of a table.
KINDS = {
    b"PK\x03\x04": "a ZIP archive, such as a spreadsheet or what torch.save writes",
    b"\x1f\x8b": "compressed with gzip: unpack it first",
    b"BZh91AY&": "compressed with bzip2: unpack it first",
    b"\xfd7zXZ": "compressed with xz: unpack it first",
    b"(\xb5/\xfd": "compressed with zstd: unpack it first",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF89a": "a GIF image",
    b"%PDF-": "a PDF document",
    b"\x93NUMPY": "an array of NumPy",
    b"\x89HDF": "an HDF5 file",
    b"PAR1\x15": "a Parquet file",
    b"SQLite f": "an SQLite database",
    b"\x7fELF": "a program",
    **{b"\x80" + bytes([protocol]): "a pickle, which is never opened" for protocol in range(2, 6)},
}


def kind_of(beginning: bytes) -> str | None:
    """What a file is that begins so, in words for a message; None if it is nothing known."""
    return next((kind for mark, kind in KINDS.items() if beginning.startswith(mark)), None)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading. ValueError for a pipe or a device; it does not wait for one."""
    name = os.fspath(path)
    try:
        file = open(name, "rb", opener=lambda name, flags: os.open(name, flags | NOT_WAITING))
    except ValueError as error:  # a null byte in the name
        raise ValueError(f"{name!r}: {error}") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError(f"{name} is a pipe or a device, a file is expected")
    return file


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Give `write` a draft beside the path and, once it is on the disk, put it in its place.

    Whatever happens, the path holds the old content or the new. A link stays a link to the file
    that it names, and the file keeps its permissions. What a killed process has left of a draft is
    removed when the same path is next written. A pipe or a device is written to as it is.
    """
    try:
        target = Path(os.path.realpath(path))
        try:
            # Of the path, so that links in a circle are an error.
            before = os.stat(path)
        except FileNotFoundError:
            before = None
        if before is not None and stat.S_ISDIR(before.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if before is not None and not stat.S_ISREG(before.st_mode):
            with open(path, "wb") as device:  # which may have no other name, as /dev/stdout
                write(device)
            return
        if before is not None and not os.access(target, os.W_OK):
            # A folder lets its files be replaced that do not let themselves be written to.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        remove_drafts(target)
        with draft_of(target) as file:
            if before is not None:  # before there is anything in it to be read
                keep_permissions(file, before)
            write(file)
            file.flush()
            os.fsync(file.fileno())
            if sys.platform == "win32":
                file.close()  # it moves no open file
            os.replace(file.name, target)
        flush_folder(target.parent)
    except OSError as error:
        # The draft is no business of whoever asked for the file.
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from None


@contextlib.contextmanager
def draft_of(target: Path) -> Iterator[BinaryIO]:
    """A new file beside the target, locked so that nobody else removes it; it is gone afterwards."""
    while True:
        draft = target.with_name(f"{draft_prefix(target)}{os.urandom(4).hex()}.part")
        with open(draft, "xb") as file:
            try:
                lock(file, waiting=True)
                if sys.platform == "win32" or os.fstat(file.fileno()).st_nlink:
                    yield file
                    return
                # Between its opening and its locking somebody else took it for a left one.
            finally:
                if sys.platform == "win32":
                    file.close()
                draft.unlink(missing_ok=True)


def remove_drafts(target: Path) -> None:
    """Remove drafts of the target that no living process is writing."""
    of_target = re.compile(re.escape(draft_prefix(target)) + r"[0-9a-f]{8}\.part")
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        for path in [entry.path for entry in entries if of_target.fullmatch(entry.name)]:
            # It may be locked, or gone, or somebody else's.
            with contextlib.suppress(OSError, ValueError), open_regular(path) as file:
                lock(file, waiting=False)
                os.unlink(path)


def draft_prefix(target: Path) -> str:
    stem = os.fsencode(target.name)[:LONGEST_STEM].decode(errors="ignore")
    return f".{stem}."


def lock(file: BinaryIO, waiting: bool) -> None:
    """Hold a file until it is closed or the process ends, however it ends.

    OSError if another holds it and this is not `waiting`. A file system without locks: nobody holds
    a file there, and none is removed.
    """
    if sys.platform == "win32":
        return
    if waiting:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def keep_permissions(file: BinaryIO, before: os.stat_result) -> None:
    """Give a draft the owner and the mode of the file that it replaces, as far as one may."""
    if hasattr(os, "fchown"):
        with contextlib.suppress(PermissionError):
            os.fchown(file.fileno(), before.st_uid, before.st_gid)
    os.chmod(file.name, stat.S_IMODE(before.st_mode))


def flush_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system has a way to do so."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):  # the file is in its place; some systems flush no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
