"""What Prometheus is told. Counters live in files under `PROMETHEUS_MULTIPROC_DIR` when several workers serve.

That variable must be set before this module is first imported; `drainage serve` does so.
"""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import Counter, Histogram

NOTIFICATIONS = Counter("drainage_notifications", "Notifications by what became of them.", ("channel", "outcome"))
RELAY_SECONDS = Histogram(
    "drainage_relay_seconds",
    "Time from handing a request to the POS to its whole answer.",
    ("channel", "outcome"),
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.5, 5.0),
)


@lru_cache(maxsize=4096)
def notified(channel: str, outcome: str) -> Counter:
    """The counter of one channel and outcome; finding it anew for every request costs more than counting."""
    return NOTIFICATIONS.labels(channel, outcome)
