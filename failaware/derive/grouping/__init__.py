"""Which cluster a failure belongs to: fingerprint, templates, and the rules of a user. Pure."""
