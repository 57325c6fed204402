"""What a child process must do before anything else: let go of its parent's threads and connections.

Asked for on every use instead, two threads of a fresh child could each start afresh and lose the other's work.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

_forgetful: set[weakref.WeakMethod[Callable[[], Any]]] = set()


def after_fork(forget: Callable[[], Any]) -> None:
    """Have this bound method called in every child that is forked from now on, as long as its object lives."""
    _forgetful.add(weakref.WeakMethod(forget, _forgetful.discard))


def _in_child() -> None:
    for reference in list(_forgetful):
        forget = reference()
        if forget is not None:
            forget()


os.register_at_fork(after_in_child=_in_child)
