"""Keras builders: targets, alarms, anomaly networks and their layers, no training.

Imports `libs.utils`.
"""
