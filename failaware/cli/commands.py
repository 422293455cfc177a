"""The table of commands, by group: the parser, the help, completion and the tests read it."""

from importlib import import_module
from typing import Any, NamedTuple


class Command(NamedTuple):
    """One command.

    `read`: its output is for reading, so it takes --utc and --no-pager. `file`: its module in this folder, where that
    is not named like the command.
    """

    name: str
    help: str
    read: bool = False
    file: str = ""

    @property
    def module(self) -> str:
        """The name of its module."""
        return f"failaware.cli.{self.file or self.name}"

    def load(self) -> Any:
        """Its module, as docs/architecture.md describes it."""
        return import_module(self.module)


GROUPS: dict[str, tuple[Command, ...]] = {
    "Look at failures": (
        Command("health", "events by state, and what needs attention", read=True),
        Command("severity", "unresolved events and clusters by severity", read=True),
        Command("clusters", "groups of similar failures, worst first", read=True),
        Command("cluster", "one cluster: severity and reason, failures by hour, events, an example", read=True),
        Command("events", "events, newest first; takes a filter", read=True),
        Command("event", "one event: payload, every attempt, decisions", read=True),
        Command("attempt", "one attempt: its outcome, its traceback, the retry delay after it", read=True),
        Command("explain", "which severity rules match an event or cluster, on which facts, and since when", read=True),
        Command("timeline", "failures by hour and cluster", read=True),
        Command("recovered", "failures that recovered on retry, with the attempts and delay it took", read=True),
        Command("due", "retries due within the hour, by minute, with retry storms marked", read=True),
        Command("diff", "what is new, back, worse, better or gone between two moments", read=True),
        Command("rejects", "input that could not be parsed, with the reason", read=True),
        Command("answer", "answer another failaware over ssh: --db ssh://host/path starts it", file="answering"),
        Command("tui", "open the inspector: browse everything, live and read-only"),
    ),
    "Record and retry": (
        Command("ingest", "record failures from logs, test reports, JSON Lines, CloudEvents, OpenTelemetry"),
        Command("exec", "run a program, retry it, and record its outcome"),
        Command("serve", "receive failures over HTTP from Sentry's SDKs, OpenTelemetry, CloudEvents, curl"),
        Command("run", "attempt due events with your handlers"),
        Command("systemd", "record every unit of systemd that fails"),
    ),
    "Decide": (
        Command("requeue", "record the decision to attempt events again", file="decisions"),
        Command("dismiss", "record the decision that events need nothing more", file="decisions"),
        Command("merge", "record the decision that clusters are one"),
        Command("split", "record the decision that a cluster is several"),
        Command("undo", "record the decision that a merge or split no longer applies"),
        Command("corrections", "clusters that were merged or split, by whom and why", read=True),
        Command("erase", "remove an event's payload and errors that must not be kept"),
    ),
    "Tune": (
        Command("policy", "the thresholds of the severity rules, with comments", read=True),
        Command("fingerprint", "the template of an error message, and which parts are masked", read=True),
        Command("rebuild", "derive everything again from the facts, optionally with another policy or grouping"),
    ),
    "Keep the store": (
        Command("init", "create a store; on PostgreSQL also writer and reader roles"),
        Command("verify", "check facts and derived tables; writes nothing", read=True),
        Command("seal", "extend the hash chain over all facts and print its head"),
        Command("export", "write all facts as JSON Lines, for restore"),
        Command("restore", "make a store from an export, all of it or nothing"),
        Command("copy", "copy all facts to another store: from a file to PostgreSQL, or back"),
        Command("archive", "move old SYNCED or dismissed events to a file"),
    ),
    "Learn failaware": (
        Command("demo", "open the inspector on live sample data"),
        Command("seed", "fill a store with realistic sample data"),
        Command("help", "explain a topic, such as filters or exit-status, or a command", read=True),
        Command("completion", "print shell completion for bash, zsh or fish"),
    ),
}

COMMANDS = {command.name: command for commands in GROUPS.values() for command in commands}


def command_in(argv: list[str]) -> str | None:
    """The command that the line names, if it is one: the first word that is no option and no option's value."""
    words = iter(argv)
    for word in words:
        if word == "--db":
            next(words, None)
        elif not word.startswith("-"):
            return word if word in COMMANDS else None
    return None
