"""The handlers of the sample events: `failaware run sample_data.handlers:handlers`."""

from dataclasses import replace

from failaware import Handlers, Retry

from .scenarios import flapping, healthy, lost_worker, outage, poison, rate_limit, schema_change, slow_leak


def registry(*, hurry: float = 1.0) -> Handlers:
    """Return all handlers; their retry delays are divided by `hurry`."""

    def shortened(retry: Retry) -> Retry:
        return replace(retry, base=retry.base / hurry, cap=retry.cap / hurry)

    registered = Handlers()
    registered.on("payment.capture", retry=shortened(outage.RETRY))(outage.capture)
    registered.on("order.import", retry=shortened(poison.RETRY))(poison.import_order)
    registered.on("inventory.sync", retry=shortened(flapping.RETRY))(flapping.sync)
    registered.on("email.send", retry=shortened(rate_limit.RETRY))(rate_limit.send)
    registered.on("crm.*", retry=shortened(schema_change.RETRY))(schema_change.update)
    registered.on("report.render", retry=shortened(slow_leak.RETRY))(slow_leak.render)
    registered.on("video.transcode", retry=shortened(lost_worker.RETRY))(lost_worker.transcode)
    for scenario in healthy.SCENARIOS:
        registered.on(scenario.event_type, retry=shortened(healthy.RETRY))(healthy.succeed)
    return registered


handlers = registry()
