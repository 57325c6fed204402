"""A process full of buyers: `python -m tests.campaigns.flash_sale.flash_crowd URL REDIS NAME BUYERS TOTAL`.

Each buyer is a thread and a person of his own. "R <reservation>" is printed when one has been answered, "N <code>" when
one was refused; whoever finds the house away tries again, as customers do.
"""

from __future__ import annotations

import sys
import threading

from campaigns.flash_sale.buying import buy
from gateway.contract.errors import Refused, StoreTrouble
from tests.campaigns.flash_sale.flash_house import NOW, House, view, wish
from tests.support.databases import opened

TRIES = 400


def crowd(url: str, redis_url: str, name: str, buyers: int, total: int, say=lambda line: None) -> list[str]:
    """What each buyer was told: a reservation, or why not."""
    store = opened(url)
    house = House(store, redis_url)
    campaign = view(total=total, shards=4)
    start = threading.Barrier(buyers)
    told: list[str] = []

    def shop(number: int) -> None:
        start.wait()
        for _ in range(TRIES):
            try:
                made = buy(house, campaign, wish(f"p_{name}_{number}", f"{name}-{number}"), NOW)
            except StoreTrouble:
                continue
            except Refused as refused:
                if refused.status == 503:
                    continue
                line = f"N {refused.code}"
            else:
                line = f"R {made.id}"
            told.append(line)
            say(line)
            return
        told.append("N gave_up")
        say("N gave_up")

    threads = [threading.Thread(target=shop, args=(number,)) for number in range(buyers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    return told


if __name__ == "__main__":
    lock = threading.Lock()

    def say(line: str) -> None:
        with lock:
            print(line, flush=True)

    crowd(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), say)
