"""The handlers of the sample events: `failaware run sample_data.handlers:handlers`."""

from dataclasses import replace

from failaware import Handlers, Retry

from .scenarios import flapping, healthy, lost_worker, outage, poison, rate_limit, schema_change, slow_leak


def registry(*, hurry: float = 1.0) -> Handlers:
    """All handlers; their waits are that many times shorter than they would be in earnest."""

    def sooner(retry: Retry) -> Retry:
        return replace(retry, base=retry.base / hurry, cap=retry.cap / hurry)

    made = Handlers()
    made.on("payment.capture", retry=sooner(outage.RETRY))(outage.capture)
    made.on("order.import", retry=sooner(poison.RETRY))(poison.import_order)
    made.on("inventory.sync", retry=sooner(flapping.RETRY))(flapping.sync)
    made.on("email.send", retry=sooner(rate_limit.RETRY))(rate_limit.send)
    made.on("crm.*", retry=sooner(schema_change.RETRY))(schema_change.update)
    made.on("report.render", retry=sooner(slow_leak.RETRY))(slow_leak.render)
    made.on("video.transcode", retry=sooner(lost_worker.RETRY))(lost_worker.transcode)
    for scenario in healthy.SCENARIOS:
        made.on(scenario.event_type, retry=sooner(healthy.RETRY))(healthy.succeed)
    return made


handlers = registry()
