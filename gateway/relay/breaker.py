"""When to stop knocking at a dead POS, and when to knock again. Pure: the time comes in as monotonic seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

BreakerState = Literal["open", "closed"]


@dataclass(slots=True)
class Breaker:
    """Opens after `failures_to_open` failures in a row; while open lets one trial through every `trial_every_s`.

    A trial is a claim on a moment, not a state: one that never reports back holds up nothing. Unverified traffic
    (`verified=False`), which any stranger can send, never opens it and has trials of its own, so that it cannot use
    up those of genuine notifications; its success does close it, for a POS that answers is back.
    """

    failures_to_open: int = 5
    trial_every_s: float = 3.0
    is_open: bool = False
    failures: int = 0
    _next_trial: dict[bool, float] = field(default_factory=dict)

    def would_admit(self, now: float, *, verified: bool) -> bool:
        """Whether a request may go out now. Changes nothing."""
        return not self.is_open or now >= self._next_trial.get(verified, now)

    def admit(self, now: float, *, verified: bool) -> bool:
        """As `would_admit`, and takes the trial when it is one."""
        if not self.would_admit(now, verified=verified):
            return False
        if self.is_open:
            self._next_trial[verified] = now + self.trial_every_s
        return True

    def succeeded(self, *, verified: bool) -> None:
        """The POS answered, whatever it said."""
        if verified:
            self.failures = 0
        elif self.is_open:
            # Closed on a stranger's word: one more genuine failure opens it again.
            self.failures = self.failures_to_open - 1
        self.is_open = False

    def failed(self, now: float, *, verified: bool) -> None:
        """The POS was tried and did not answer."""
        if not verified:
            return
        self.failures += 1
        if not self.is_open and self.failures >= self.failures_to_open:
            self.is_open = True
            self._next_trial = {True: now + self.trial_every_s, False: now + self.trial_every_s}
