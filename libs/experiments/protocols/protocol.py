"""The properties of a protocol that tables, help and scripts read."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Series:
    """Experiments of one data set whose normal classes grow; tables and pictures show them alone.

    Attributes
    ----------
    data_set : str
    names : dict
        Normal classes, joined by ``+``, and the names of the experiments in tables; in order.
    title : str
    """

    data_set: str
    names: Mapping[str, str]
    title: str


@dataclass(frozen=True)
class Protocol:
    """A paper's settings, by name.

    Attributes
    ----------
    name : str
    source : str
        Authors and venue.
    seeds : tuple of int
        Of the paper.
    own : tuple of str
        Methods that it proposes; the first available one is compared with all other methods.
    published : tuple of str
        The methods in the paper's own tables; all others are additions.
    ablation : dict
        Methods of the ablation and their names in its table; all but the method itself are
        trained only if named on the command line.
    series : Series, optional
    epochs, learning_rate : int and float, optional
        Defaults of the paper's own options ``--n_epochs`` and ``--learning_rate``, which change
        only the settings that have this value. None: the options change every network.
    """

    name: str
    source: str
    seeds: tuple[int, ...]
    own: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    ablation: Mapping[str, str] = field(default_factory=dict)
    series: Series | None = None
    epochs: int | None = None
    learning_rate: float | None = None
