"""SQLite files: connecting, creating with private permissions, recognizing or refusing, migrating."""

import os
import sqlite3
import stat
import time
from pathlib import Path
from urllib.parse import quote

from failaware.engine.derivation import Derivation
from failaware.errors import StoreCorrupt, StoreError, StoreForeign, StoreMissing
from failaware.schema import versions
from failaware.schema.ddl import work_tables

APPLICATION_ID = 0x4641494C  # "FAIL": tells a failaware store from any other SQLite file
BUSY_TIMEOUT_S = 30.0
OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
LOG_PAGES = {"FULL": 1_000, "NORMAL": 4_000}
"""Pages in the write-ahead log after which a commit checkpoints. With FULL, a short log that is overwritten flushes
faster than one that grows; without flushes, the checkpoint is the main cost."""
LONGEST = 1 << 27
"""Maximum length of a value in bytes."""

FileState = tuple[int, int]
"""The state of a store's file while no process has it open for writing: modification time (ns) and length (bytes)."""

_WHOSE = """
SELECT application_id, user_version, NOT EXISTS (SELECT 1 FROM sqlite_master)
  FROM pragma_application_id, pragma_user_version
"""
"""One statement, hence one snapshot: another process may be creating the store."""

_STEPS = 500_000
"""SQLite instructions between calls that let Python run signal handlers: about 10 ms."""

LOG_BYTES = 1 << 25
"""Log size in bytes from which writers try to restart the log from its beginning, and readers make that possible."""
READERS_WAIT_S = 0.05
"""How long a writer waits for readers, to restart the log. A reader with longer snapshots pauses between them."""


def connect_read_write(path: Path, synchronous: str, mark: Derivation) -> sqlite3.Connection:
    """Connect to a store's file for writing; create it with this mark if it does not exist."""
    if not _exists(path):
        target = Path(os.path.realpath(path))  # of a link that leads to no file yet
        if not target.parent.is_dir():
            raise StoreMissing(f"cannot make {path}: the folder {target.parent} does not exist; make it first")
        _create_private(target)
    elif not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        # SQLite would create a read-only log, which would still prevent writing once the permission is restored.
        raise StoreError(f"{path} cannot be written: it is read-only for this user; ask its owner to let you")
    check_companions(path)
    db = _connect(f"file:{quote(os.fsencode(path))}?mode=rw")
    try:
        if _version(db, path) == 0:
            _make(db, path, mark)
        elif not is_older(db, path):
            from failaware.engine.sqlite.schema_check import check_tables

            check_tables(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES[synchronous]}")
        db.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        db.execute("PRAGMA temp_store = MEMORY")
        for statement in work_tables():
            db.execute(statement)
        db.execute("PRAGMA busy_timeout = 0")  # from now on we wait ourselves
    except BaseException:
        db.close()
        raise
    return db


def _exists(path: Path) -> bool:
    """Return whether the file exists; refuse anything but a regular file: devices and pipes lose data."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}; name another file, or let this user in") from None
    if stat.S_ISDIR(mode):
        raise StoreForeign(f"{path} is a folder, not a failaware store; name the file in it")
    if not stat.S_ISREG(mode):
        raise StoreForeign(f"{path} is a device, a pipe or a socket, not a failaware store; name a file")
    return True


def companion(path: Path, suffix: str) -> Path:
    """The path of SQLite's companion file, such as "-wal"; it is next to the target of a symbolic link."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + suffix)


def _create_private(path: Path) -> None:
    """Create the empty file with mode 0600: failures contain personal data."""
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            if hasattr(os, "fchmod"):
                os.fchmod(file, 0o600)  # regardless of the umask
        finally:
            os.close(file)
    except FileExistsError:
        pass  # another process created it first
    except OSError as error:
        raise StoreError(f"cannot make {path}: {error.strerror}; name a place that you may write to") from None


def _use_log(db: sqlite3.Connection) -> None:
    """Set the write-ahead log; while another process does so, SQLite says that the file is locked without waiting."""
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            return


def _make(db: sqlite3.Connection, path: Path, mark: Derivation) -> None:
    from failaware.engine.sqlite.migrations import make

    _use_log(db)
    db.execute("BEGIN IMMEDIATE")
    try:
        if _version(db, path) == 0:  # no other process created it while this one waited for the lock
            make(db, mark)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {versions.current()}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def identity(path: str | Path) -> tuple[int, int] | None:
    """Device and inode, which distinguish a file from a later one at the same path; None if there is no file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def connect_read_only(path: Path, timeout_s: float) -> tuple[sqlite3.Connection, FileState | None]:
    """Connect to an existing file; nothing can be written through the connection.

    If SQLite's companion files do not exist and would be created with another owner than the store's, only the main
    file is read, without locks. Then its state is returned as well, for the caller to detect a write.
    """
    if not _exists(path):
        raise StoreMissing(f"there is no store at {path}; record something, run 'failaware seed', or name it with --db")
    place = f"file:{quote(os.fsencode(path))}"
    state = unopened_state(path)
    if state is not None and _is_of_another_user(path) and os.access(path, os.R_OK):
        return _connect(f"{place}?mode=ro&immutable=1", timeout_s), state
    db = None
    try:
        db = _connect(f"{place}?mode=ro", timeout_s)
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        if db is not None:
            db.close()
        # A cleanly closed WAL store in a read-only folder: no process writes to it, so the main file is complete. With
        # content in the WAL it would be silently out of date: an error.
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        if not os.access(path, os.R_OK):
            raise StoreError(
                f"cannot read {path}: permission denied; ask its owner, or run as a user who may"
            ) from None
        if _has_content(companion(path, "-wal")):
            raise StoreError(
                f"cannot read {path}: its newest facts are in {path.name}-wal, and the folder is not writable; "
                "copy both files to a folder of your own"
            ) from None
        return _connect(f"{place}?mode=ro&immutable=1", timeout_s), state
    return db, None


def connect_temporary() -> sqlite3.Connection:
    """Connect to a new temporary database, which SQLite removes when the connection is closed."""
    need_sqlite()
    return _connect("")


def unopened_state(path: Path) -> FileState | None:
    """The file's state if, according to its companion files, no process has it open for writing; otherwise None."""
    try:
        if companion(path, "-shm").exists() and companion(path, "-wal").exists():
            return None
        if _has_content(companion(path, "-wal")):
            return None
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _is_of_another_user(path: Path) -> bool:
    """Return whether companion files created by this user would not be the owner's; SQLite chowns those of root."""
    return os.name == "posix" and os.geteuid() not in (0, path.stat().st_uid)


def check_companions(path: Path) -> None:
    """Refuse to write if this user may not write to one of SQLite's companion files.

    Raises:
        StoreError: it names the file and its owner.
    """
    for file in (companion(path, "-wal"), companion(path, "-shm")):
        if file.exists() and not os.access(file, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise StoreError(
                f"{path} cannot be written: {file} belongs to {_owner(file)}, and this user may not write to it; "
                + (
                    "it holds facts: let its owner record something into the store, or give the file to you"
                    if _has_content(companion(path, "-wal"))
                    else f"once no program has the store open, delete it: rm {file}"
                )
            )


def _owner(file: Path) -> str:
    try:
        return file.owner()
    except (KeyError, OSError):
        return f"user {file.stat().st_uid}"


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _connect(uri: str, timeout_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout_s, check_same_thread=False)
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
    db.set_progress_handler(_allow_signals, _STEPS)
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    return db


def _allow_signals() -> int:
    """Do nothing: the call itself lets Python run signal handlers, for example for Ctrl-C."""
    return 0


def is_older(db: sqlite3.Connection, path: Path) -> bool:
    """Return whether the store has an older schema."""
    return _version(db, path) < versions.current()


def bring_up_to_date(db: sqlite3.Connection) -> None:
    """Migrate an older store to the current schema in the caller's transaction; the caller then derives everything."""
    from failaware.engine.sqlite.migrations import bring_up_to_date

    bring_up_to_date(db)
    db.execute(f"PRAGMA user_version = {versions.current()}")


def check_version(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a file without the current schema."""
    version = _version(db, path)
    if version == 0:
        raise StoreForeign(f"{path} is empty, not yet a failaware store; record something into it first")
    versions.check_not_older(version, str(path))


def _version(db: sqlite3.Connection, path: Path) -> int:
    """The schema version; 0 for an empty file. Other programs' files are refused."""
    application, user_version, is_empty = db.execute(_WHOSE).fetchone()
    version = int(user_version)
    if application == 0 and is_empty:
        return 0
    if application == APPLICATION_ID and version < 1:
        raise StoreCorrupt(f"{path} is damaged: it holds a store, but no version of its schema; restore a backup")
    if application != APPLICATION_ID:
        raise StoreForeign(f"{path} is a SQLite file of another program; name a failaware store, or a new file")
    versions.check_not_newer(version, str(path))
    return version


def need_sqlite() -> None:
    """Refuse a SQLite version without the features that the schema uses."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; failaware needs 3.37 or newer")
