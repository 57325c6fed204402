"""The same token buckets for all machines together, in Redis; while Redis is away each machine counts by itself.

Nothing but counts lies there, so it may be emptied at any time: then every bucket is full once more.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final, Protocol

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ANSWERS_WITHIN_S: Final = 0.2
"""A refused notification waits this long for Redis and no longer: its relay comes after it."""
RESTS_S: Final = 2.0
"""After a fault Redis is left alone for so long, so that a dead one delays one request and not each."""

_PREFIX: Final = "drainage:unverified:"

# By Redis's own clock: those of several machines differ. A bucket that would be full again is forgotten.
_TAKE: Final = """
local burst, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local kept = redis.call('HMGET', KEYS[1], 'used', 'at')
local used = math.max(0, (tonumber(kept[1]) or 0) - math.max(0, now - (tonumber(kept[2]) or now)) * rate)
if used + 1 > burst then return 0 end
redis.call('HSET', KEYS[1], 'used', string.format('%.6f', used + 1), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((used + 1) / rate * 1000) + 1000)
return 1
"""


class TokenBuckets(Protocol):
    """What limits unverified traffic."""

    def take(self, source: str, channel: str, monotonic_now: float) -> bool:
        """One token of this source and channel; False when there is none."""


class SharedBuckets:
    """`burst` at once, refilled by `per_second`, whichever machine asks. Safe between threads."""

    def __init__(self, url: str, burst: int, per_second: float, alone: TokenBuckets) -> None:
        """Connects at the first use. `alone` counts while Redis does not answer. Raises ImportError without `redis`."""
        import redis

        self._fault: type[Exception] = redis.RedisError
        self._alone = alone
        self._burst = burst
        self._per_second = per_second
        self._rests_until = float("-inf")
        # Any: the library types an answer as "this, or a promise of it".
        client: Any = redis.Redis.from_url(
            url, socket_timeout=ANSWERS_WITHIN_S, socket_connect_timeout=ANSWERS_WITHIN_S, retry=None
        )
        self._take: Any = client.register_script(_TAKE)

    def take(self, source: str, channel: str, monotonic_now: float) -> bool:
        """See `TokenBuckets.take`. Never raises for Redis's sake."""
        if monotonic_now < self._rests_until:
            return self._alone.take(source, channel, monotonic_now)
        # An address is somebody's: its digest is what is kept.
        digest = blake2b(f"{source}\0{channel}".encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        try:
            return bool(self._take(keys=[_PREFIX + digest], args=[self._burst, self._per_second]))
        except self._fault as error:
            self._rests_until = monotonic_now + RESTS_S
            log.warning("shared_buckets_away", error=type(error).__name__)
            return self._alone.take(source, channel, monotonic_now)
