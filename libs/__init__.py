"""Methods, data and what they share; docs/architecture.md draws the house."""
