"""How a relay fails, in a few stable words."""

from __future__ import annotations

from typing import Final, Literal

from gateway.contract.errors import DrainageError

FailureKind = Literal["timeout", "refused", "broken", "breaker_open", "bulkhead_full", "forbidden_address"]

_STATUS: Final[dict[FailureKind, int]] = {
    "timeout": 504,
    "refused": 502,
    "broken": 502,
    "forbidden_address": 502,
    "breaker_open": 503,
    "bulkhead_full": 503,
}


class RelayFailed(DrainageError):
    """No answer of the POS. `kind` is stable, `status` what our caller is answered, `detail` helps an operator.

    timeout            no whole answer within the deadline (504)
    refused            nobody there: no such name, no route, connection refused (502)
    broken             an answer that cannot be handed on: cut off, not HTTP, too large, a bad certificate (502)
    forbidden_address  the name led to an address that the guard refuses (502)
    breaker_open       not tried: it failed again and again (503)
    bulkhead_full      not tried: too many requests are waiting for it (503)
    """

    def __init__(self, kind: FailureKind, detail: str = "") -> None:
        self.kind: FailureKind = kind
        self.detail = detail
        self.status = _STATUS[kind]
        super().__init__(f"{kind}: {detail}" if detail else kind)

    @property
    def is_the_upstreams(self) -> bool:
        """Whether the POS was tried and is to blame, which is what its breaker counts."""
        return self.kind in ("timeout", "refused", "broken")
