"""Parsers of other formats: CloudEvents, OpenTelemetry, JUnit XML, CTRF. No clock."""
