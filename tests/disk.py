"""A disk under SQLite for tests: it notes every write and flush, and fails on request.

The methods of SQLite's own VFS are replaced in place, in the library that this process uses: the code under test is the
code that users run, without a replacement.
"""

import _sqlite3
import ctypes
import errno
import os
import random
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path

import pytest

OK = 0
FAILURES = {  # what SQLite says of each
    "open": 14,  # SQLITE_CANTOPEN
    "read": 266,  # SQLITE_IOERR_READ
    "write": 778,  # SQLITE_IOERR_WRITE
    "full": 13,  # SQLITE_FULL, of a write
    "sync": 1034,  # SQLITE_IOERR_FSYNC
    "truncate": 1546,  # SQLITE_IOERR_TRUNCATE
    "delete": 2570,  # SQLITE_IOERR_DELETE
    "map": 5386,  # SQLITE_IOERR_SHMMAP
}
SECTOR = 512
_CREATE, _DELETE_ON_CLOSE = 0x4, 0x8
_SYNCS_ITS_FOLDER = 0x800 | 0x4000 | 0x80000  # journals and the write-ahead log, when they were made just now

_CLOSE = CFUNCTYPE(c_int, c_void_p)
_MOVE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_MAP = CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int, c_void_p)
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))  # the name as it lies: it is kept
_DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)


class _Methods(Structure):
    _fields_ = (
        ("iVersion", c_int),
        ("xClose", _CLOSE),
        ("xRead", _MOVE),
        ("xWrite", _MOVE),
        ("xTruncate", _TRUNCATE),
        ("xSync", _SYNC),
        *((name, c_void_p) for name in ("size", "lock", "unlock", "reserved", "control", "sector", "device")),
        ("xShmMap", _MAP),
        *((name, c_void_p) for name in ("shm_lock", "shm_barrier", "shm_unmap", "fetch", "unfetch")),
    )


class _File(Structure):
    _fields_ = (("methods", POINTER(_Methods)),)


class _Vfs(Structure):
    _fields_ = (
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", _OPEN),
        ("xDelete", _DELETE),
    )


class Disk:
    """While it is in use, every file that SQLite opens in this process goes through it."""

    def __init__(self):
        self.log = []  # (what, path, ...): in the order in which it happened
        self.noting = False
        self.failed = 0
        self._files = {}  # address of SQLite's file: (path, its own methods)
        self._patched = {}  # address of its own methods: ours
        self._fails = lambda _what, _path: False

    def note(self, what, *values):
        """Put something of the test's own between what SQLite does."""
        self.log.append((what, *values))

    @contextmanager
    def failing(self, *whats, nth=1, times=1, only=""):
        """Let the nth of these operations fail, and so many after it; `only` on files whose names end so."""
        counted = 0

        def fails(what, path):
            nonlocal counted
            if what not in whats or not path.endswith(only):
                return False
            counted += 1
            failed = nth <= counted < nth + times
            self.failed += failed
            return failed

        before, self._fails = self._fails, fails
        try:
            yield
        finally:
            self._fails = before

    def paths(self):
        """The files that SQLite has open."""
        return {path for path, _ in self._files.values()}

    def code(self, path, *whats):
        """What SQLite says of the failure of one of these operations on a file; OK if it succeeds."""
        return next((FAILURES[what] for what in whats if self._fails(what, path)), OK)

    def done(self, what, path, *values):
        """Note an operation on a file."""
        if self.noting:
            self.log.append((what, path, *values))

    def opened(self, file, path, flags):
        """Let a file that SQLite has opened go through us."""
        own = _File.from_address(file).methods
        address = ctypes.addressof(own.contents)
        if address not in self._patched:
            self._patched[address] = self._methods(own.contents)
        self._files[file] = (path, own.contents)
        _File.from_address(file).methods = ctypes.pointer(self._patched[address])
        made = bool(flags & _CREATE and flags & _SYNCS_ITS_FOLDER)
        self.done("open", path, made)

    def give_back(self):
        """Let SQLite have its own methods again, for the files that are still open."""
        for file, (_, own) in self._files.items():
            _File.from_address(file).methods = ctypes.pointer(own)

    def _methods(self, own):
        ours = _Methods()
        ctypes.pointer(ours)[0] = own
        ours.xClose, ours.xRead, ours.xWrite = _CLOSE(self._close), _MOVE(self._read), _MOVE(self._write)
        ours.xTruncate, ours.xSync, ours.xShmMap = _TRUNCATE(self._truncate), _SYNC(self._sync), _MAP(self._map)
        return ours

    def _close(self, file):
        _, own = self._files.pop(file)
        return own.xClose(file)

    def _read(self, file, buffer, size, offset):
        path, own = self._files[file]
        return self.code(path, "read") or own.xRead(file, buffer, size, offset)

    def _write(self, file, buffer, size, offset):
        path, own = self._files[file]
        code = self.code(path, "write", "full")
        if code:
            half = size // 2  # what fails may have been done in part
            own.xWrite(file, buffer, half, offset)
            self.done("write", path, offset, ctypes.string_at(buffer, half))
            return code
        self.done("write", path, offset, ctypes.string_at(buffer, size))
        return own.xWrite(file, buffer, size, offset)

    def _truncate(self, file, size):
        path, own = self._files[file]
        code = self.code(path, "truncate")
        if not code:
            self.done("truncate", path, size)
        return code or own.xTruncate(file, size)

    def _sync(self, file, flags):
        path, own = self._files[file]
        code = self.code(path, "sync")
        self.done("sync failed" if code else "sync", path)
        return code or own.xSync(file, flags)

    def _map(self, file, *how):
        path, own = self._files[file]
        return self.code(path + "-shm", "map") or own.xShmMap(file, *how)

    def refuses(self, what, path):
        """What opening or deleting a file is to say; 0 to go on."""
        return self.code(path, what)

    def deleted(self, path, folder_too):
        """Take note of a file that is gone."""
        self.done("delete", path, bool(folder_too))


_KEPT = []  # what SQLite may still call: connections can outlive a test


@contextmanager
def faulty_disk():
    """Put a Disk under SQLite, for what is opened within."""
    library = ctypes.CDLL(_sqlite3.__file__) if hasattr(_sqlite3, "__file__") else ctypes.CDLL(None)
    try:
        find = library.sqlite3_vfs_find
    except AttributeError:
        pytest.skip("this Python hides the functions of its SQLite, and no disk can be simulated")
    find.restype = POINTER(_Vfs)
    vfs = find(None).contents
    disk, own_open, own_delete = Disk(), _OPEN.from_buffer_copy(vfs.xOpen), _DELETE.from_buffer_copy(vfs.xDelete)

    def on_open(this, name, file, flags, out):
        if name is None or flags & _DELETE_ON_CLOSE:
            return own_open(this, name, file, flags, out)
        path = ctypes.string_at(name).decode()
        code = disk.refuses("open", path)
        if code:
            _File.from_address(file).methods = POINTER(_Methods)()
            return code
        code = own_open(this, name, file, flags, out)
        if code == OK:
            disk.opened(file, path, flags)
        return code

    def on_delete(this, name, folder_too):
        path = ctypes.string_at(name).decode()
        code = disk.refuses("delete", path) or own_delete(this, name, folder_too)
        if code == OK:
            disk.deleted(path, folder_too)
        return code

    ours = _OPEN(on_open), _DELETE(on_delete)
    _KEPT.append((disk, *ours, own_open, own_delete))
    vfs.xOpen, vfs.xDelete = ours
    try:
        with _through(disk):
            yield disk
    finally:
        vfs.xOpen, vfs.xDelete = own_open, own_delete
        disk.give_back()


@contextmanager
def _through(disk):
    """Let what failaware itself does to SQLite's files go through a Disk too."""
    own = os.fdatasync, os.fsync, os.pwrite

    def path_of(fd):
        return os.readlink(f"/proc/self/fd/{fd}")

    def flush(fd, way):
        path = path_of(fd)
        code = disk.code(path, "sync") if path in disk.paths() else OK
        if path in disk.paths():
            disk.done("sync failed" if code else "sync", path)
        elif os.path.isdir(path):
            disk.done("folder", path)
        if code:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        way(fd)

    def pwrite(fd, data, offset):
        if path_of(fd) in disk.paths():
            if disk.code(path_of(fd), "write", "full"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            disk.done("write", path_of(fd), offset, bytes(data))
        return own[2](fd, data, offset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda fd: flush(fd, own[0]))
        patch.setattr(os, "fsync", lambda fd: flush(fd, own[1]))
        patch.setattr(os, "pwrite", pwrite)
        yield


class _Content:
    """A file: what is on the disk for sure, and what may be there or not."""

    def __init__(self):
        self.sure = bytearray()
        self.pending = []  # (offset, bytes), or a size that it was cut to

    def flush(self):
        for change in self.pending:
            _apply(self.sure, change)
        self.pending.clear()

    def survived(self, luck):
        """Its content after the power was cut: of what was not flushed, `luck` says which sectors got through."""
        content = bytearray(self.sure)
        for change in self.pending:
            if isinstance(change, int):
                if luck():
                    _apply(content, change)
                continue
            offset, data = change
            start = 0
            while start < len(data):
                end = min(len(data), (offset + start) // SECTOR * SECTOR + SECTOR - offset)
                if luck():
                    _apply(content, (offset + start, data[start:end]))
                start = end
        return bytes(content)


class PowerCut:
    """Plays the log of a disk, and tells what is left when the power is cut at some point of it."""

    def __init__(self):
        self._now, self._sure = {}, {}  # path: content; what the folder says, and what it will say for sure
        self._makes_sure = set()  # files whose first flush also flushes the folder

    def play(self, what, path, *values):
        """One more thing has happened."""
        if what == "open":
            if path not in self._now:
                self._now[path] = _Content()
                if values[0]:
                    self._makes_sure.add(path)
            return
        if what in ("folder", "delete"):
            if what == "delete":
                self._now.pop(path, None)
            if what == "folder" or values[0]:
                self._sure = dict(self._now)
            return
        self._change(what, self._now[path], path, *values)

    def _change(self, what, content, path, *values):
        if what == "write":
            content.pending.append(values)
        elif what == "truncate":
            content.pending.append(values[0])
        elif what == "sync failed":
            content.pending.clear()  # Linux forgets then what it could not write, and the next flush succeeds
        else:
            content.flush()
            if path in self._makes_sure:
                self._makes_sure.remove(path)
                self._sure = dict(self._now)

    def left(self, luck):
        """Each file by its path, as it is found when the power is back; `luck()` says whether something got through."""
        stored = {}
        for path in {**self._sure, **self._now}:
            content = (self._now if luck() else self._sure).get(path)
            if content is not None:
                stored[path] = content.survived(luck)
        return stored


def _apply(content, change):
    if isinstance(change, int):
        del content[change:]
        content.extend(bytes(change - len(content)))
        return
    offset, data = change
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def lay_out(stored, folder):
    """Put files into a folder."""
    folder = Path(folder)
    folder.mkdir()
    for path, content in stored.items():
        file = folder / Path(path).name
        file.touch(mode=0o600)
        file.write_bytes(content)


NOTHING_GOT_THROUGH = lambda: False  # noqa: E731 - named next to its opposite
ALL_GOT_THROUGH = lambda: True  # noqa: E731


def by_chance(rng: random.Random):
    """Luck that changes from sector to sector, and how much of it there is from cut to cut."""
    likely = rng.random()
    return lambda: rng.random() < likely
