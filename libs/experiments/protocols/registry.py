"""The registry of protocols; it imports no method, so that help is instant."""

from libs.experiments.protocols import a3, argue, best, deepad, r2ad2
from libs.experiments.protocols.protocol import Protocol

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        a3.PROTOCOL,
        a3.PARAMETERS,
        r2ad2.PROTOCOL,
        argue.PROTOCOL,
        deepad.PROTOCOL,
        best.PROTOCOL,
    )
}


def protocol_of(name: str) -> Protocol | None:
    """Protocol of a name that may have suffixes, such as ``r2ad2-e2``; None if unknown."""
    fitting = [known for known in PROTOCOLS if name == known or name.startswith(f"{known}-")]
    return PROTOCOLS[max(fitting, key=len)] if fitting else None
