"""Methods, data and shared code; see docs/architecture.md."""
