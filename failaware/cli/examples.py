"""The examples that end each command's help. A test runs every one of them on sample data."""

from collections.abc import Sequence
from typing import NamedTuple


class Example(NamedTuple):
    """A command line, and the question it answers. 9929 is a cluster, 42 an event."""

    words: str
    answers: str


EXAMPLES: dict[str, tuple[Example, ...]] = {
    "": (
        Example("failaware health", "what is the state of things?"),
        Example("failaware clusters severity:HIGH+", "what is bad, worst first?"),
        Example("failaware events status:DEAD since:2h", "what died in the last two hours?"),
        Example("failaware event 42", "what happened, attempt by attempt?"),
        Example("failaware demo", "explore sample data"),
    ),
    "health": (
        Example("failaware health", "events by state, and what needs attention"),
        Example("failaware health --as-of 2h", "the same, as of two hours ago"),
        Example("failaware health --watch", "updated after each change"),
    ),
    "severity": (
        Example("failaware severity", "events and clusters by severity"),
        Example("failaware severity --exit-code HIGH", "for scripts: exit status 1 if anything is HIGH or CRITICAL"),
        Example("failaware severity --policy strict.toml", "what would change under other thresholds"),
    ),
    "clusters": (
        Example("failaware clusters status:unresolved", "unresolved clusters, worst first"),
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
        Example("failaware event 42", "its payload, every attempt, each retry delay and its reason"),
        Example("failaware event 42 --utc", "with times in UTC"),
    ),
    "attempt": (
        Example("failaware attempt 7", "its outcome, and the retry delay after it"),
        Example("failaware attempt 7 --json", "for a script"),
    ),
    "rejects": (
        Example("failaware rejects", "what could not be ingested, and why not"),
        Example("failaware rejects --limit 1 --json", "the newest one, complete"),
    ),
    "explain": (
        Example("failaware explain event/42", "which rules match it, with the numbers and facts"),
        Example("failaware explain cluster/9929", "the same for a cluster, and since when"),
    ),
    "fingerprint": (
        Example("failaware fingerprint 'order 4711 timed out after 5.0 s'", "what of it counts as variable"),
        Example("failaware fingerprint --error KeyError \"'customer'\"", "an error with its type"),
    ),
    "timeline": (
        Example("failaware timeline", "failures of the last two days, by hour and cluster"),
        Example("failaware timeline --hours 120 --cluster 9929", "five days of one cluster"),
    ),
    "recovered": (
        Example("failaware recovered", "failures that recovered on retry, and the cost"),
        Example("failaware recovered type:payment.*", "payments only"),
    ),
    "due": (
        Example("failaware due", "the retries of the next hour, by minute"),
        Example("failaware due --watch", "the same, as they come and go"),
    ),
    "diff": (
        Example("failaware diff 24h", "what changed in the last 24 hours"),
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
        Example("failaware exec -- ./backup.sh", "run it, and record its outcome"),
        Example("failaware exec --type nightly.backup --max-attempts 5 --backoff 1m -- ./backup.sh", "retry it"),
        Example("failaware exec --key 2026-11-20 --timeout 2h -- ./backup.sh", "one event a day, two hours at most"),
    ),
    "serve": (
        Example("failaware serve -- ./backup.sh", "run it, and receive what it reports with an SDK"),
        Example("failaware serve --inspect", "receive what any program reports, and look at it"),
    ),
    "ingest": (
        Example("failaware ingest events.jsonl", "record a file's lines"),
        Example("failaware ingest -", "what comes from standard input"),
        Example("failaware ingest --follow events.jsonl", "and go on with what is added to it"),
    ),
    "requeue": (
        Example("failaware requeue 42 --because 'the gateway is back'", "retry one event"),
        Example("failaware requeue --cluster 9929 --because 'fixed in 2.1'", "all unresolved events of a cluster"),
    ),
    "dismiss": (
        Example("failaware dismiss 42 --because 'refunded by hand'", "one event needs nothing more"),
        Example("failaware dismiss --where 'type:mail.* since:24h' --because 'too late'", "all that match a filter"),
    ),
    "archive": (
        Example(
            "failaware archive --before 90d --to 2026-q3.db --because 'kept for a quarter'",
            "what is SYNCED or dismissed and older than 90 days goes to a separate file",
        ),
        Example("failaware archive --before 2026-01-01 --to 2025.db --because 'last year'", "up to a day"),
    ),
    "erase": (
        Example("failaware erase 42 --because 'asked for by the customer'", "remove its payload and errors"),
        Example("failaware erase 42 --shared-tracebacks --because 'as above'", "tracebacks of others too"),
    ),
    "seal": (
        Example("failaware seal", "print a seal, to keep on another machine"),
        Example("failaware seal --json", "for a script that stores it"),
    ),
    "verify": (
        Example("failaware verify", "are facts and derived rows intact?"),
        Example("failaware verify --facts-only", "only the facts, in a third of the time"),
    ),
    "export": (
        Example("failaware export --out facts.jsonl", "all facts, into a new file"),
        Example("failaware export", "on standard output"),
    ),
    "restore": (
        Example("failaware restore all.jsonl --db new.db", "what export wrote, into a new store"),
        Example("failaware restore all.jsonl --db other.db", "repeatable, each time into an empty store"),
    ),
    "rebuild": (
        Example("failaware rebuild", "derive everything again"),
        Example("failaware rebuild --policy strict.toml", "with other thresholds from now on"),
    ),
    "copy": (
        Example("failaware copy failaware.db other.db", "a second file with the same; either may be a PostgreSQL URL"),
        Example("failaware copy ./failaware.db copies.db", "run again, it copies what is new"),
    ),
    "init": (
        Example("failaware init", "create an empty store, if there is none"),
        Example(
            "failaware init --roles --print --db postgresql://db.example/ops",
            "the SQL that makes a role for writers and one for readers",
        ),
    ),
    "seed": (
        Example("failaware seed", "2,000 events of sample data in failaware.db"),
        Example("failaware seed --db other.db --events 500 --seed 3", "another history in another file"),
    ),
    "demo": (
        Example("failaware demo", "live sample failures in the inspector"),
        Example("failaware demo --no-tui", "the reports instead"),
    ),
    "completion": (
        Example("failaware completion bash", 'for ~/.bashrc: eval "$(failaware completion bash)"'),
        Example("failaware completion zsh", "for ~/.zshrc, after compinit: the same with zsh"),
        Example("failaware completion fish", "failaware completion fish > ~/.config/fish/completions/failaware.fish"),
    ),
    "help": (
        Example("failaware help", "list the topics"),
        Example("failaware help filters", "a topic"),
        Example("failaware help events", "a command, as 'failaware events --help'"),
    ),
}


def drawn(examples: Sequence[Example]) -> str:
    """The examples as they end a help."""
    width = max((len(example.words) for example in examples if len(example.words) <= 44), default=0)
    lines = []
    for words, answers in examples:
        on_one_line = len(words) <= width and width + len(answers) < 76
        lines.append(f"  {words:<{width}}  {answers}" if on_one_line else f"  {words}\n      {answers}")
    return "\n".join(["examples:", *lines, ""])
