"""Recognizes secrets and masks them before an event or an attempt is recorded. Pure."""
