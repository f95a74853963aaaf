"""What tables and help read of a protocol, beside the functions that make its studies."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Series:
    """Experiments of one data set whose normal classes grow; tables and pictures show them alone.

    Attributes
    ----------
    data_set : str
    names : dict
        Normal classes, joined by ``+``, and what a table calls the experiment; in their order.
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
        Who wrote it, where.
    seeds : tuple of int
        The paper's.
    own : tuple of str
        What it proposes, held against all other methods: the first that is there.
    published : tuple of str
        The rows that the paper's own tables have; all others are additions.
    ablation : dict
        Methods of the ablation and what its table calls them; trained only where they are named,
        but for the method itself.
    series : Series, optional
    epochs, learning_rate : int and float, optional
        Defaults of the paper's own options ``--n_epochs`` and ``--learning_rate``: these reach the
        settings that have this value, and no others. None: the options reach every network.
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
