"""The examples that end each command's help. A test runs every one of them on sample data."""

from collections.abc import Sequence
from typing import NamedTuple


class Example(NamedTuple):
    """A command line, and the question it answers. 9929, 8127 and 1754 are clusters, 42 is an event."""

    words: str
    answers: str


EXAMPLES: dict[str, tuple[Example, ...]] = {
    "": (
        Example("failaware health", "events by state, and what needs attention"),
        Example("failaware clusters severity:HIGH+", "the severe clusters, worst first"),
        Example("failaware events status:DEAD since:2h", "events that gave up in the last two hours"),
        Example("failaware event 42", "one event, attempt by attempt"),
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
        Example("failaware clusters severity:HIGH+ since:24h", "HIGH or CRITICAL, with a failure in the last 24 hours"),
        Example("failaware clusters type:payment.* --json", "for a script; times are µs since the epoch"),
    ),
    "cluster": (
        Example("failaware cluster 9929", "severity and reason, impact, failures by hour, an example"),
        Example("failaware cluster 9929 --as-of 24h", "the same, a day ago"),
    ),
    "events": (
        Example("failaware events status:DEAD since:2h", "events that gave up in the last two hours"),
        Example("failaware events type:payment.* -error:timeout", "payments, except those that timed out"),
        Example("failaware events last:9929 --limit 10", "events whose last failure is in cluster 9929"),
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
        Example("failaware rejects", "what could not be parsed, with the reason"),
        Example("failaware rejects --limit 1 --json", "the newest one, complete"),
    ),
    "explain": (
        Example("failaware explain event/42", "which rules match it, with the numbers and facts"),
        Example("failaware explain cluster/9929", "the same for a cluster, and since when"),
    ),
    "fingerprint": (
        Example("failaware fingerprint 'order 4711 timed out after 5.0 s'", "its template, and the masked parts"),
        Example("failaware fingerprint --error KeyError \"'customer'\"", "a message of an error type"),
        Example("failaware fingerprint --explain 'order 4711 timed out after 5.0 s'", "also each rule that fired"),
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
    "answer": (
        Example("failaware answer", "greets, or says why the store cannot be read"),
        Example("failaware answer --db failaware.db", "as ssh runs it on another host"),
    ),
    "tui": (
        Example("failaware tui", "browse everything; ? lists the keys, q quits"),
        Example("failaware tui --db web.db --db jobs.db", "browse several stores as one"),
    ),
    "run": (
        Example("failaware run shop", "attempt events with the handlers of shop.py until Ctrl-C"),
        Example("failaware run shop:handlers --until-idle", "for cron: exit when no event is due"),
        Example("failaware run shop --concurrency 8", "run up to eight handlers at once"),
    ),
    "exec": (
        Example("failaware exec -- ./backup.sh", "run it, and record its outcome"),
        Example(
            "failaware exec --type nightly.backup --max-attempts 5 --backoff 1m -- ./backup.sh",
            "retry it up to four times",
        ),
        Example("failaware exec --key 2026-11-20 --timeout 2h -- ./backup.sh", "one event a day, two hours at most"),
    ),
    "serve": (
        Example("failaware serve -- ./backup.sh", "run it, and record what it reports through an SDK"),
        Example("failaware serve --inspect", "record what any program reports, and watch it in the inspector"),
    ),
    "systemd": (
        Example("failaware systemd print --db failures.db", "the files that install would write"),
        Example("failaware systemd install --db failures.db --root image", "write them into the image of a machine"),
    ),
    "ingest": (
        Example("failaware ingest events.jsonl", "record a file's lines"),
        Example("failaware ingest -", "record lines from standard input"),
        Example("failaware ingest --explain events.jsonl", "what would be recorded of the first lines, and why"),
        Example("failaware ingest --follow events.jsonl", "keep recording lines that are appended to it"),
    ),
    "requeue": (
        Example("failaware requeue 42 --because 'the gateway is back'", "one event"),
        Example("failaware requeue --cluster 9929 --because 'fixed in 2.1'", "all unresolved events of a cluster"),
    ),
    "dismiss": (
        Example("failaware dismiss 42 --because 'refunded by hand'", "one event"),
        Example(
            "failaware dismiss --where 'type:mail.* since:24h' --because 'too late'",
            "all unresolved events that match a filter",
        ),
    ),
    "merge": (
        Example("failaware merge 8127 1754 --preview", "which clusters and severities would change"),
        Example("failaware merge 8127 1754 --because 'both are the gateway'", "one cluster, named as the first"),
    ),
    "split": (
        Example("failaware split 8127 --by '<host>' --because 'each host has its owner'", "a cluster for each host"),
        Example("failaware split 8127 --by frame --preview", "what a cluster for each place in the code would change"),
    ),
    "undo": (
        Example("failaware undo 3 --preview", "what would change without a merge or split"),
        Example("failaware undo 3 --because 'they differ after all'", "a merge or split no longer applies"),
    ),
    "corrections": (
        Example("failaware corrections", "what was merged and split, by whom and why"),
        Example("failaware corrections --json --limit 500", "the newest 500 as JSON"),
    ),
    "archive": (
        Example(
            "failaware archive --before 90d --to 2026-q3.db --because 'kept for a quarter'",
            "move SYNCED or dismissed events older than 90 days to a file",
        ),
        Example(
            "failaware archive --before 2026-01-01 --to 2025.db --because 'last year'", "events from before a date"
        ),
    ),
    "erase": (
        Example("failaware erase 42 --because 'asked for by the customer'", "remove its payload and errors"),
        Example(
            "failaware erase 42 --shared-tracebacks --because 'as above'", "also tracebacks that other events share"
        ),
    ),
    "seal": (
        Example("failaware seal", "print the head of the chain, to keep on another machine"),
        Example("failaware seal --json", "for a script that stores it"),
    ),
    "verify": (
        Example("failaware verify", "check facts and derived tables"),
        Example("failaware verify --facts-only", "check only the facts, in a third of the time"),
    ),
    "export": (
        Example("failaware export --out facts.jsonl", "write all facts to a new file"),
        Example("failaware export", "write them to standard output"),
    ),
    "restore": (
        Example("failaware restore all.jsonl --db new.db", "make new.db from an export"),
        Example("failaware restore all.jsonl --db other.db", "make another store from the same export"),
    ),
    "rebuild": (
        Example("failaware rebuild", "derive everything again"),
        Example("failaware rebuild --policy strict.toml", "with other thresholds from now on"),
    ),
    "copy": (
        Example(
            "failaware copy failaware.db other.db", "a second store with the same facts; either may be a PostgreSQL URL"
        ),
        Example("failaware copy ./failaware.db copies.db", "run again, it copies only what is new"),
    ),
    "init": (
        Example("failaware init", "create an empty store if there is none"),
        Example(
            "failaware init --roles --print --db postgresql://db.example/ops",
            "print the SQL that creates a writer role and a reader role",
        ),
    ),
    "seed": (
        Example("failaware seed", "2,000 events of sample data in failaware.db"),
        Example("failaware seed --db other.db --events 500 --seed 3", "another history in another file"),
    ),
    "demo": (
        Example("failaware demo", "open the inspector on live sample data"),
        Example("failaware demo --no-tui", "print reports instead"),
    ),
    "completion": (
        Example("failaware completion bash", 'for ~/.bashrc: eval "$(failaware completion bash)"'),
        Example("failaware completion zsh", "for ~/.zshrc, after compinit: the same with zsh"),
        Example("failaware completion fish", "failaware completion fish > ~/.config/fish/completions/failaware.fish"),
    ),
    "help": (
        Example("failaware help", "list the topics"),
        Example("failaware help filters", "explain a topic"),
        Example("failaware help events", "explain a command, like 'failaware events --help'"),
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
