require "sentry-ruby"
Sentry.init { |c| c.release = "shop@1.2"; c.environment = "prod"; c.background_worker_threads = 0 }
Sentry.set_tags(region: "eu")
def charge(order)
  raise IOError, "connection reset"
rescue IOError
  raise ArgumentError, "order #{order} is not charged"
end
begin
  charge(17)
rescue => e
  Sentry.capture_exception(e)
end
Sentry.capture_message("only a message")
