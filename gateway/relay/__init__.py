"""The way to the POS: untouched bytes out, its answer back, one dead POS never in another's way (R012, R013)."""

from gateway.relay.answer import WsgiParts, answer_parts, failure_parts
from gateway.relay.breaker import BreakerState
from gateway.relay.errors import FailureKind, RelayFailed
from gateway.relay.forward import Answer, Relay, RelayLimits, Upstream
from gateway.relay.guard import Guard
from gateway.relay.headers import Hop, from_environ
from gateway.relay.target import BadUpstream, Target, parse_url, raw_target, split_target

__all__ = [
    "Answer",
    "BadUpstream",
    "BreakerState",
    "FailureKind",
    "Guard",
    "Hop",
    "Relay",
    "RelayFailed",
    "RelayLimits",
    "Target",
    "Upstream",
    "WsgiParts",
    "answer_parts",
    "failure_parts",
    "from_environ",
    "parse_url",
    "raw_target",
    "split_target",
]
