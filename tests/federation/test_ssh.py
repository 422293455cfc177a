"""A store that is read over the real ssh, from an sshd on the loopback interface with keys of its own."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from failaware import Store
from failaware.errors import StoreError
from failaware.federation import StorePlace, open_stores
from tests.worker.helpers import eventually

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")


@pytest.fixture
def port(tmp_path, monkeypatch):
    """Of an sshd for this test; `ssh` on the PATH is the real one, with this test's keys."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    shutil.copy(tmp_path / "user.pub", tmp_path / "authorized")
    (tmp_path / "sshd").write_text(
        f"ListenAddress 127.0.0.1:{number}\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/authorized\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nSetEnv PATH={Path(sys.executable).parent}:{os.environ['PATH']}\n"
    )
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        f"#!/bin/sh\nexec {shutil.which('ssh')} -F none -i {tmp_path}/user -o IdentitiesOnly=yes "
        f'-o StrictHostKeyChecking=no -o UserKnownHostsFile={tmp_path}/known -o LogLevel=ERROR "$@"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", tmp_path / "sshd"], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: listens(number))
        yield number
    finally:
        server.terminate()
        server.wait()


def listens(number):
    with suppress(OSError), socket.create_connection(("127.0.0.1", number), 1) as connected:
        return connected.recv(3) == b"SSH"
    return False


@pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="needs OpenSSH's server and client")
def test_a_store_is_read_over_ssh(port, tmp_path):
    place = tmp_path / "it's a store.db"
    with Store.open(place) as store:
        store.report_attempt("pay", {}, error="ValueError: no")
        away = StorePlace("away", f"ssh://{getpass.getuser()}@127.0.0.1:{port}{place}")
        with closing(open_stores([away], patience_s=30)) as federation:
            assert federation.health().dead == 1
            token = federation.connections.change_token()
            store.record("pay")
            eventually(lambda: federation.connections.change_token() != token)
            (newest, oldest) = federation.events()
            assert (str(newest.event_id), oldest.last_error) == ("2@away", "no")
            with closing(federation.as_of(federation.now())) as then:
                assert then.count_events() == 2
    gone = StorePlace("gone", f"ssh://nobody-is-called-so@127.0.0.1:{port}/x.db")
    with pytest.raises(StoreError, match=r"ssh to 127.0.0.1 ended with status 255: .*Permission denied"):
        open_stores([gone], patience_s=30)
