"""Access: a new store is readable only by its owner, and nothing in it is executed."""

import ast
import os
import sys

import pytest

from failaware import Inspector, Store, UsageError
from tests import processes
from tests.test_house import MODULES, called, tree_of

RUNS_TEXT = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput"}
WRITES_FOR_A_SHELL = {"shellcode"}  # and runs nothing
UNPACKS = {"pickle", "marshal", "shelve", "dill", "yaml", "code", "codeop"}


def test_no_text_is_run_and_no_object_unpacked():
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            assert not UNPACKS.intersection(imported(node)), f"{module}:{node.lineno}"
            if isinstance(node, ast.Call):
                assert called(node) not in RUNS_TEXT, f"{module}:{node.lineno} runs a text"
                for keyword in node.keywords if called(node) not in WRITES_FOR_A_SHELL else ():
                    shell = keyword.arg == "shell" and getattr(keyword.value, "value", True) is not False
                    assert not shell, f"{module}:{node.lineno} starts a shell"


def imported(node):
    """The top-level packages that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    return {alias.name.partition(".")[0] for alias in node.names} if isinstance(node, ast.Import) else set()


@pytest.mark.sqlite("who may read its files")
@pytest.mark.parametrize("opener", [Store.open, Inspector.open])
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_store_that_others_may_read_is_told(store, path, opener, suffix):
    store.record("a", {})
    file = path.with_name(path.name + suffix)
    file.chmod(0o640)
    with pytest.warns(UserWarning, match="open to other users.*chmod 600") as warned:
        opener(path).close()
    assert [str(warning.message).partition(" ")[0] for warning in warned] == [str(file)]


def test_all_files_of_a_new_store_are_private_whatever_the_umask(tmp_path):
    was = os.umask(0)
    try:
        with Store.open(tmp_path / "s.db") as store:
            store.record("a", {})
            assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
            assert len(list(tmp_path.iterdir())) == 3
    finally:
        os.umask(was)


SCRIPT = ["-c", "import sys; from failaware.__main__ import main; sys.exit(main())"]  # as installing makes it


@pytest.mark.sqlite("who may read its files")
@pytest.mark.parametrize("start", [["-m", "failaware"], SCRIPT], ids=["module", "script"])
@pytest.mark.parametrize("words", [["health", "--json"], ["exec", "--", "true"]], ids=["health", "exec"])
def test_the_command_line_tells_it_in_one_line_on_stderr(path, start, words):
    Store.open(path).close()
    path.chmod(0o644)
    command = [sys.executable, *start, "--db", str(path), *words]
    done = processes.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.startswith(f"failaware: {path} and {path}-wal")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("opener", [Store.open, Inspector.open])
def test_the_password_of_an_address_is_not_told(opener):
    with pytest.raises(UsageError) as refused:
        opener("mysql://me:hunter2secret@db.example/fails?password=hunter2secret")
    assert "hunter2secret" not in str(refused.value)
    assert "hunter2secret" not in repr(refused.value.__cause__)
