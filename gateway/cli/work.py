"""`drainage work`: the background worker alone."""

from __future__ import annotations

import signal
import threading

import click

from gateway.cli.common import Desk, with_desk
from gateway.logs import configure_logs
from gateway.relay import Guard
from gateway.worker import Worker


@click.command()
@click.option("--once", is_flag=True, help="Do everything that is due, then end.")
@with_desk
def work(desk: Desk, once: bool) -> None:
    """Deliver what is owed, expire what has run out, empty the spool."""
    runtime = desk.runtime
    from gateway.app import build_relay, build_spool  # brings every surface with it, which no other command needs

    configure_logs(runtime.config.log.level)
    worker = Worker(runtime, build_relay(runtime, Guard(runtime.config.relay.allow)), build_spool(runtime))
    if once:
        worker.finish_due()
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    worker.run(stop)
