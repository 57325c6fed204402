"""Carrying a wallet's calls to its platform: one bounded HTTPS request, no redirects, every trouble `CallUnknown`."""

from __future__ import annotations

import threading
from typing import Final, Protocol

import requests

from gateway.contract.wallet import Call, CallUnknown, Reply

CONNECT_S: Final = 2.0
ANSWER_S: Final = 5.0
LONGEST: Final = 1024 * 1024
_PIECE: Final = 64 * 1024


class Carrier(Protocol):
    """Whoever sends calls; tests and the sandbox have their own."""

    def __call__(self, call: Call) -> Reply:
        """Send it and read the answer. Raises CallUnknown: not reached, too slow, too long."""


class HttpCarrier:
    """Calls over the network, with one kept connection pool a thread."""

    def __init__(self) -> None:
        self._local = threading.local()

    def __call__(self, call: Call) -> Reply:
        """Send `call` as it stands; an answer of any status is an answer. Raises CallUnknown."""
        try:
            with self._session().request(
                call.method,
                call.url,
                headers=dict(call.headers),
                data=call.body or None,
                timeout=(CONNECT_S, ANSWER_S),
                allow_redirects=False,
                stream=True,
            ) as answer:
                return Reply(answer.status_code, tuple(answer.headers.items()), _body(answer))
        except requests.RequestException as error:
            # Not `from error`: its text holds the address, and that of a sign-in holds the app's secret.
            raise CallUnknown("not_reached", type(error).__name__) from None

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            # Proxies and .netrc of the machine have no say in where a merchant's secrets go.
            session.trust_env = False
        return session


def _body(answer: requests.Response) -> bytes:
    pieces, length = [], 0
    for piece in answer.iter_content(_PIECE):
        length += len(piece)
        if length > LONGEST:
            raise CallUnknown("too_long")
        pieces.append(piece)
    return b"".join(pieces)
