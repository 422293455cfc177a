"""Parsers of other formats: CloudEvents, OpenTelemetry, JUnit. No clock."""
