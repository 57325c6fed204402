"""`drainage simulate`: signed notifications as the sandbox platform would send them; a campaign on past days."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import click
import orjson
import requests
from rich.console import Console
from rich.progress import Progress

from gateway.cli.common import Desk, Group, json_option, print_rows, with_desk
from gateway.contract.errors import Refused
from gateway.sandbox import make_payment, post
from gateway.trying_out import MOST_DRAFTS, try_out

MANY = 20
"""From here on single lines tell less than a progress bar."""

LANES = 16


@click.group(cls=Group)
def simulate() -> None:
    """What would be: pretend payments in a sandbox, a campaign on past days."""


@simulate.command()
@click.option("--channel", required=True, help="A channel with sandbox = true.")
@click.option("--openid", help="Who pays; a new person for each payment when not given.")
@click.option("--amount", type=click.IntRange(0, 10**12), default=6800, show_default=True, metavar="FEN")
@click.option("--url", help="Where to send; by default the channel's address at base_url.")
@click.option("--count", type=click.IntRange(1, 10**7), default=1, show_default=True)
@click.option("--rate", type=click.FloatRange(0.01, 10**5), help="Payments a second; as fast as it goes without.")
@json_option
@with_desk
def pay(
    desk: Desk,
    channel: str,
    openid: str | None,
    amount: int,
    url: str | None,
    count: int,
    rate: float | None,
    as_json: bool,
) -> None:
    """Pay COUNT times. Exit status 1 unless every notification was answered with success (2xx)."""
    runtime = desk.runtime
    # Asked first: a channel that cannot pay is one refusal, not one for each payment.
    make_payment(runtime, channel, openid="nobody", amount_fen=amount, now=runtime.clock())
    base = runtime.base_url or "http://127.0.0.1:8000"
    target = url or f"{base}/notify/{channel}"
    tells_each = as_json or count < MANY
    results: list[dict[str, object]] = []
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    def one(number: int) -> None:
        payer = openid or f"sandbox-{runtime.random(8).hex()}-{number}"
        raw, order = make_payment(runtime, channel, openid=payer, amount_fen=amount, now=runtime.clock())
        try:
            answer: str = str(post(raw, target).status_code)
        except requests.RequestException as error:
            answer = type(error).__name__
        with lock:
            counts[answer] += 1
            if tells_each:
                results.append({"transaction_id": order.transaction_id, "amount_fen": amount, "answer": answer})

    console = Console(stderr=True)
    with Progress(console=console, disable=count < MANY or not console.is_terminal) as progress:
        task = progress.add_task("paying", total=count)
        in_lanes(one, count, rate, lambda: progress.advance(task))
    if tells_each:
        print_rows(results, ("transaction_id", "amount_fen", "answer"), as_json=as_json)
    else:
        sums = [{"answer": answer, "count": n} for answer, n in sorted(counts.items())]
        print_rows(sums, ("answer", "count"), as_json=False)
    if any(not answer.startswith("2") for answer in counts):
        raise Refused("not_answered", 502, "not every notification was answered with success")


@simulate.command()
@click.option("--campaign", required=True, help="Its name in the apply file.")
@click.option("--from", "first", required=True, metavar="DAY", help="The first day, such as 2026-11-22.")
@click.option("--to", "last", metavar="DAY", help="The last day; the first one without.")
@click.option(
    "--draft",
    "drafts",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A TOML file with the campaign's keys, twice to compare; as it stands without.",
)
@json_option
@with_desk
def campaign(desk: Desk, campaign: str, first: str, last: str | None, drafts: tuple[Path, ...], as_json: bool) -> None:
    """Play past payments and refunds to a campaign: what it would give and cost. Sends and writes nothing."""
    if len(drafts) > MOST_DRAFTS:
        raise click.UsageError(f"at most {MOST_DRAFTS} drafts are compared")
    texts: list[str | None] = [path.read_text("utf-8", "replace") for path in drafts]
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("trying out", total=None)
        result = try_out(
            desk.runtime,
            {"campaign": campaign, "from": first, "to": last or first, "drafts": texts or [None]},
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        click.echo(orjson.dumps(result, option=orjson.OPT_SORT_KEYS).decode())
        return
    for name, one in zip("AB", result["drafts"], strict=False):
        figures = ("payments", "refunds", "heard", "links", "items", "cost_fen", "reserved_fen", "consumed_fen")
        rows = [{"draft": name, "what": what, "count": one[what]} for what in figures]
        rows += [{"draft": name, "what": f"given {to}", "count": n} for to, n in sorted(one["given"].items())]
        rows += [{"draft": name, "what": key, "count": n} for key, n in sorted(one["verdicts"].items())]
        rows += [{"draft": name, "what": f"refund {key}", "count": n} for key, n in sorted(one["reversals"].items())]
        print_rows(rows, ("draft", "what", "count"), as_json=False)
        if one["stopped_at"]:
            click.echo(f"{name}: the budget ended at {one['stopped_at']}")
        if one["payments"] and not one["heard"]:
            click.echo(f"{name}: payments do not drive this kind of campaign")


def in_lanes(one: Callable[[int], None], count: int, rate: float | None, done: Callable[[], None]) -> None:
    """Call `one` with 0 … count-1, at most `LANES` at a time and at most `rate` a second; `done` after each."""
    free = threading.BoundedSemaphore(LANES)

    def ended(_future: Future[None]) -> None:
        free.release()
        done()

    began = time.monotonic()
    with ThreadPoolExecutor(min(LANES, count)) as pool:
        futures: list[Future[None]] = []
        for number in range(count):
            if rate is not None:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
            # Bounded, so that a long run does not lie in memory as a queue.
            free.acquire()
            future = pool.submit(one, number)
            future.add_done_callback(ended)
            futures = [waiting for waiting in futures if not waiting.done() or waiting.result()] + [future]
    for future in futures:
        future.result()
