"""The kinds of jobs, a module a kind, and the runner that does them in the worker.

A new kind is a function `(runtime, params, progress) -> result` and a line in `kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway import trying_out
from gateway.chores import chain, export, resend
from gateway.jobs import Kind
from gateway.relay import Relay
from gateway.setup import rehearsal

__all__ = ["kinds"]


def kinds(relay: Relay) -> Mapping[str, Kind]:
    """Every kind by its name; those that send go by `relay`."""
    return {
        resend.NAME: resend.Resend(relay),
        chain.NAME: chain.check,
        export.NAME: export.write_file,
        rehearsal.KIND: rehearsal.rehearse,
        trying_out.KIND: trying_out.try_out,
    }
