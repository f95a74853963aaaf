"""Connections that nothing comes from are closed."""

import asyncio

from uvicorn.protocols.http.auto import AutoHTTPProtocol


class ImpatientProtocol(AutoHTTPProtocol):
    """HTTP on a connection that is closed where no whole head of a request comes.

    It is looked at every `SECONDS`, and closed if it has been waiting for the same head twice.
    uvicorn itself closes connections that wait for another request after an answer.
    """

    SECONDS = 15.0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start to look."""
        super().connection_made(transport)
        self._waited: object = self
        self._look_again()

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        self._timer.cancel()
        super().connection_lost(exc)

    def _look_again(self) -> None:
        self._timer = self.loop.call_later(self.SECONDS, self._look)

    def _look(self) -> None:
        busy = self.cycle is not None and not self.cycle.response_complete
        waits_for = self if busy or self.timeout_keep_alive_task else self.cycle
        if waits_for is self._waited is not self:
            self.transport.close()
        else:
            self._waited = waits_for
            self._look_again()
