"""The examples that end each command's help. A test runs every one of them on sample data."""

from collections.abc import Sequence
from typing import NamedTuple


class Example(NamedTuple):
    """A command line, and the question it answers. 9929 stands for a cluster, 42 for an event."""

    words: str
    answers: str


EXAMPLES: dict[str, tuple[Example, ...]] = {
    "": (
        Example("failaware health", "what is the state of things?"),
        Example("failaware clusters severity:HIGH+", "what is bad, worst first?"),
        Example("failaware events status:DEAD since:2h", "what died in the last two hours?"),
        Example("failaware event 42", "what happened to it, attempt by attempt?"),
        Example("failaware demo", "look around in sample data"),
    ),
    "health": (
        Example("failaware health", "how many events stand where, and what stands out"),
        Example("failaware health --as-of 2h", "the same, as it stood two hours ago"),
        Example("failaware health --watch", "and again whenever something is recorded"),
    ),
    "severity": (
        Example("failaware severity", "how much stands at which severity"),
        Example("failaware severity --exit-code HIGH", "for scripts: exit status 1 if anything is HIGH or CRITICAL"),
        Example("failaware severity --policy strict.toml", "what would move under other thresholds"),
    ),
    "clusters": (
        Example("failaware clusters status:unresolved", "what is not settled, worst first"),
        Example("failaware clusters severity:HIGH+ since:24h", "what is bad and failed within a day"),
        Example("failaware clusters type:payment.* --json", "for a script; times are µs since the epoch"),
    ),
    "cluster": (
        Example("failaware cluster 9929", "why its severity, its impact, its hours, an example"),
        Example("failaware cluster 9929 --as-of 24h", "the same, a day ago"),
    ),
    "events": (
        Example("failaware events status:DEAD since:2h", "what died in the last two hours"),
        Example("failaware events type:payment.* -error:timeout", "payments, but not those that timed out"),
        Example("failaware events last:9929 --limit 10", "whose last failure is of a cluster"),
    ),
    "event": (
        Example("failaware event 42", "its payload, every attempt, every wait and why"),
        Example("failaware event 42 --utc", "with times in UTC"),
    ),
    "attempt": (
        Example("failaware attempt 7", "how it ended, and the wait after it"),
        Example("failaware attempt 7 --json", "for a script"),
    ),
    "rejects": (
        Example("failaware rejects", "what could not be ingested, and why not"),
        Example("failaware rejects --limit 1 --json", "the newest one, as a whole"),
    ),
    "explain": (
        Example("failaware explain event/42", "which rules hold of it, by which numbers and facts"),
        Example("failaware explain cluster/9929", "the same of a cluster, and since when"),
    ),
    "fingerprint": (
        Example("failaware fingerprint 'order 4711 timed out after 5.0 s'", "what of it counts as variable"),
        Example("failaware fingerprint --error KeyError \"'customer'\"", "an error whose type matters"),
    ),
    "timeline": (
        Example("failaware timeline", "failures of the last two days, by hour and cluster"),
        Example("failaware timeline --hours 120 --cluster 9929", "five days of one cluster"),
    ),
    "recovered": (
        Example("failaware recovered", "what was SYNCED without a person, and at what cost"),
        Example("failaware recovered type:payment.*", "of payments alone"),
    ),
    "due": (
        Example("failaware due", "the retries of the next hour, by minute"),
        Example("failaware due --watch", "the same, as they come and go"),
    ),
    "diff": (
        Example("failaware diff 24h", "what changed since this time yesterday"),
        Example("failaware diff 'yesterday 09:00' 'yesterday 17:00'", "what changed in between"),
    ),
    "policy": (
        Example("failaware policy", "the thresholds in force, as a policy file"),
        Example("failaware policy --json", "for a script"),
    ),
    "tui": (
        Example("failaware tui", "browse it all; ? lists the keys, q quits"),
        Example("failaware tui --inline", "below the prompt"),
    ),
    "run": (
        Example("failaware run shop", "apply events through shop.py's handlers until Ctrl-C"),
        Example("failaware run shop:handlers --until-idle", "for cron: return once nothing is due"),
        Example("failaware run shop --concurrency 8", "eight handlers at once"),
    ),
    "exec": (
        Example("failaware exec -- ./backup.sh", "run it, and keep how it ended"),
        Example("failaware exec --type nightly.backup --max-attempts 5 --backoff 1m -- ./backup.sh", "try it again"),
        Example("failaware exec --key 2026-11-20 --timeout 2h -- ./backup.sh", "one event a day, two hours at most"),
    ),
    "ingest": (
        Example("failaware ingest events.jsonl", "record a file's lines"),
        Example("failaware ingest -", "what comes from standard input"),
        Example("failaware ingest --follow events.jsonl", "and go on with what is added to it"),
    ),
    "requeue": (
        Example("failaware requeue 42 --because 'the gateway is back'", "try one event again"),
        Example("failaware requeue --cluster 9929 --because 'fixed in 2.1'", "all of a cluster that are unresolved"),
    ),
    "dismiss": (
        Example("failaware dismiss 42 --because 'refunded by hand'", "one event needs nothing more"),
        Example("failaware dismiss --where 'type:mail.* since:24h' --because 'too late'", "all that pass a filter"),
    ),
    "archive": (
        Example(
            "failaware archive --before 90d --to 2026-q3.db --because 'kept for a quarter'",
            "what is SYNCED or dismissed and older than 90 days goes to a file of its own",
        ),
        Example("failaware archive --before 2026-01-01 --to 2025.db --because 'last year'", "up to a day"),
    ),
    "erase": (
        Example("failaware erase 42 --because 'asked for by the customer'", "remove its payload and errors"),
        Example("failaware erase 42 --shared-tracebacks --because 'as above'", "tracebacks of others too"),
    ),
    "seal": (
        Example("failaware seal", "print a seal, to be noted elsewhere"),
        Example("failaware seal --json", "for a script that notes it"),
    ),
    "verify": (
        Example("failaware verify", "is everything as it was recorded?"),
        Example("failaware verify --facts-only", "the facts alone, in a third of the time"),
    ),
    "export": (
        Example("failaware export --out facts.jsonl", "all facts, into a new file"),
        Example("failaware export", "on standard output"),
    ),
    "restore": (
        Example("failaware restore all.jsonl --db new.db", "what export wrote, into a new store"),
        Example("failaware restore all.jsonl --db other.db", "as often as you like, each time into an empty one"),
    ),
    "rebuild": (
        Example("failaware rebuild", "derive everything anew"),
        Example("failaware rebuild --policy strict.toml", "from now on by other thresholds"),
    ),
    "copy": (
        Example("failaware copy failaware.db other.db", "a second file with the same; either may be a PostgreSQL URL"),
        Example("failaware copy ./failaware.db copies.db", "again, it goes on with what came since"),
    ),
    "init": (
        Example("failaware init", "an empty store, where there is none yet"),
        Example(
            "failaware init --roles --print --db postgresql://db.example/ops",
            "the SQL that makes a role for writers and one for readers",
        ),
    ),
    "seed": (
        Example("failaware seed", "2,000 events of sample data in failaware.db"),
        Example("failaware seed --db other.db --events 500 --seed 3", "another history, elsewhere"),
    ),
    "demo": (
        Example("failaware demo", "sample failures, alive, in the inspector"),
        Example("failaware demo --no-tui", "the reports instead"),
    ),
    "completion": (
        Example("failaware completion bash", 'for ~/.bashrc: eval "$(failaware completion bash)"'),
        Example("failaware completion zsh", "for ~/.zshrc, after compinit: the same with zsh"),
        Example("failaware completion fish", "failaware completion fish > ~/.config/fish/completions/failaware.fish"),
    ),
    "help": (
        Example("failaware help", "what can be explained"),
        Example("failaware help filters", "a topic"),
        Example("failaware help events", "a command, as 'failaware events --help'"),
    ),
}


def drawn(examples: Sequence[Example]) -> str:
    """The examples as they end a help."""
    width = max((len(example.words) for example in examples if len(example.words) <= 44), default=0)
    lines = []
    for words, answers in examples:
        beside = len(words) <= width and width + len(answers) < 76
        lines.append(f"  {words:<{width}}  {answers}" if beside else f"  {words}\n      {answers}")
    return "\n".join(["examples:", *lines, ""])
