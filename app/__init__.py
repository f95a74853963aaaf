"""The dashboard: results and models in a browser. Nothing in libs/ imports it."""
