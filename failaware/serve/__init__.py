"""The local receiver: programs in any language report over HTTP, and a request is answered after it was recorded.

Needs the extra `serve`. Nothing else imports this package; `failaware serve` does.
"""
