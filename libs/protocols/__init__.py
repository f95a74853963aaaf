"""The papers' settings, one module per protocol."""
