"""Any bytes for every parser, found by atheris, which goes where it has not been yet; nothing where it is missing."""

import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

SECONDS_TO_START = 60
MEMORY = 1 << 30  # bytes; libFuzzer's own limit counts the peak of the process that started it, too
_RUNS = re.compile(r"^Done (\d+) runs", re.MULTILINE)


def run(seconds, rng, names=None):
    """Try them (all, or those named) one after the other, each for its share of the time; counts inputs."""
    if not find_spec("atheris"):
        sys.stderr.write("atheris is not installed: the parsers are not fuzzed\n")
        return Counter()
    from tests.soak.parsers import Parsers

    counts = Counter()
    with Parsers() as parsers:
        examples = parsers.examples
    for name in names or examples:
        share = max(1, int(seconds / len(names or examples)))
        counts["inputs"] += _fuzzed(name, examples[name], share, rng.randrange(1, 2**31))
        counts["parsers"] += 1
    return counts


def _fuzzed(name, examples, seconds, seed):
    with tempfile.TemporaryDirectory() as folder:
        for number, example in enumerate(examples):
            Path(folder, str(number)).write_bytes(example)
        options = [f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=8192", "-timeout=20", "-rss_limit_mb=0"]
        command = [sys.executable, "-m", "tests.soak.fuzz", name, f"-artifact_prefix={folder}/", *options, folder]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=seconds + SECONDS_TO_START, check=False
        )
        corpus = [path.read_bytes() for path in Path(folder).glob("*-*")]
    assert done.returncode == 0, f"{name} from {corpus!a}:\n{done.stdout[-6_000:]}\n{done.stderr[-1_000:]}"
    return int(_RUNS.search(done.stderr)[1])


def main():
    """Read one parser's inputs until the time is over: `python -m tests.soak.fuzz PARSER OPTION...` of libFuzzer."""
    import atheris

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    with atheris.instrument_imports(include=["failaware"]):
        from tests.soak.parsers import Parsers

        parsers = Parsers()
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, lambda data: parsers.read(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
