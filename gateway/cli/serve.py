"""`drainage serve`: gunicorn on `wsgi:app`, with the background worker kept beside it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import Final

import click

from gateway.cli.common import Desk, with_desk
from gateway.cli.supervise import Child, Supervisor
from gateway.config import HOME_VARIABLE, process_environ, variable_of
from gateway.contract.errors import StoreTrouble
from gateway.heartbeat import set_draining

GRACEFUL_S: Final = 10
"""What a request in flight gets: twice the 5 s within which a platform wants its answer."""


@click.command()
@click.option("--bind", default="127.0.0.1:8000", show_default=True, metavar="HOST:PORT")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes; by default one a core plus one.")
@click.option("--threads", type=click.IntRange(1, 256), default=16, show_default=True, help="Threads of each process.")
@click.option("--no-worker", is_flag=True, help="Leave the background worker to `drainage work` elsewhere.")
@with_desk
def serve(desk: Desk, bind: str, workers: int | None, threads: int, no_worker: bool) -> None:
    """Serve until told to stop (SIGTERM, Ctrl-C)."""
    runtime = desk.runtime
    home = desk.home
    home.create()
    try:
        # Read here once, so that faults are told before anything is started.
        runtime.keyring.reload()
    except StoreTrouble as trouble:
        if not home.cache_file.exists():
            raise
        # A machine that restarts while its store is gone relays all the same, by the kept copy (R013).
        click.echo(f"the store: {trouble}; relaying by the kept copy of the catalogue until it is back", err=True)
    set_draining(home.run_dir, draining=False)
    environ = dict(process_environ())
    environ[HOME_VARIABLE] = str(home.root)
    if not runtime.base_url:
        environ[variable_of("server", "base_url")] = f"http://{bind}"
    environ["PROMETHEUS_MULTIPROC_DIR"] = str(_empty_folder(home.run_dir / "metrics"))
    children = [Child("gunicorn", gunicorn_command(bind, workers or _cores() + 1, threads), vital=True)]
    if not no_worker:
        children.append(Child("worker", [sys.executable, "-m", "gateway.cli", "work"], vital=False))
    # The children open the store for themselves; nothing of ours must be alive when they are forked.
    desk.close()
    supervisor = Supervisor(
        children,
        environ,
        grace_s=GRACEFUL_S + 5,
        tell=lambda line: click.echo(line, err=True),
        monotonic=time.monotonic,
    )
    click.echo(f"serving on http://{bind}", err=True)
    status = supervisor.run(on_stop=partial(set_draining, home.run_dir, draining=True))
    if status:
        sys.exit(1)


def gunicorn_command(bind: str, workers: int, threads: int) -> list[str]:
    """Gunicorn's command line: threads, the strict parser, bounded heads, no socket of its own in the home."""
    found = importlib.util.find_spec("wsgi")
    assert found is not None
    assert found.origin is not None  # it is installed with us
    settings = {
        "bind": bind,
        "workers": workers,
        "threads": threads,
        "worker-class": "gthread",
        # The C parser lets folded headers and bare line feeds through, which a proxy before us may read otherwise.
        "http-parser": "python",
        "limit-request-line": 4094,
        "limit-request-fields": 100,
        "limit-request-field_size": 8190,
        "timeout": 60,
        "graceful-timeout": GRACEFUL_S,
        "keep-alive": 5,
        # So that a file wsgi.py in the folder we were started from is not taken for ours.
        "chdir": str(Path(found.origin).parent),
    }
    flags = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    return [sys.executable, "-m", "gunicorn", *flags, "--no-control-socket", "wsgi:app"]


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _empty_folder(path: Path) -> Path:
    """A folder for the workers' metric files; those of an earlier run would be counted again."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, mode=0o700)
    return path
