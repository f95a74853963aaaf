"""What a training was: kept with models and results. Imports no TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Training:
    """How long a network was trained, so that results of undertrained networks are recognised."""

    rows: int
    epochs: int
    updates: int
    seconds: float
    losses: tuple[float, ...] = ()

    @classmethod
    def of_each(cls, trainings: Sequence["Training"]) -> "Training":
        """Sum up networks trained on the same rows for the same time: losses add up."""
        losses = tuple(map(sum, zip(*(t.losses for t in trainings), strict=True)))
        first, seconds = trainings[0], sum(t.seconds for t in trainings)
        return cls(first.rows, first.epochs, first.updates, seconds, losses)

    @classmethod
    def of_stages(cls, stages: Sequence["Training"]) -> "Training":
        """Sum up consecutive trainings; the rows are those of the last."""
        epochs, updates = sum(t.epochs for t in stages), sum(t.updates for t in stages)
        losses = tuple(loss for t in stages for loss in t.losses)
        return cls(stages[-1].rows, epochs, updates, sum(t.seconds for t in stages), losses)
