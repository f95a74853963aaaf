"""Keras builders of target, anomaly and alarm networks."""
