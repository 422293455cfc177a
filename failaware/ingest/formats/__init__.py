"""One module per format that producers write: CloudEvents, OpenTelemetry, JUnit. No clock."""
