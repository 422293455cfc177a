"""The handlers of the sample events: `failaware run sample_data.handlers:handlers`."""

from failaware import Handlers

from .scenarios import flapping, healthy, lost_worker, outage, poison, rate_limit, schema_change, slow_leak

handlers = Handlers()
handlers.on("payment.capture", retry=outage.RETRY)(outage.capture)
handlers.on("order.import", retry=poison.RETRY)(poison.import_order)
handlers.on("inventory.sync", retry=flapping.RETRY)(flapping.sync)
handlers.on("email.send", retry=rate_limit.RETRY)(rate_limit.send)
handlers.on("crm.*", retry=schema_change.RETRY)(schema_change.update)
handlers.on("report.render", retry=slow_leak.RETRY)(slow_leak.render)
handlers.on("video.transcode", retry=lost_worker.RETRY)(lost_worker.transcode)
for _scenario in healthy.SCENARIOS:
    handlers.on(_scenario.event_type, retry=healthy.RETRY)(healthy.succeed)
