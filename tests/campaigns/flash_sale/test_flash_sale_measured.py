"""The benchmark of deductions: what it has to tell, and that it counts what was sold (R184)."""

import json
from itertools import count
from pathlib import Path

import pytest

from benchmarks import b6_flash_sale

STORES = ("sqlite", "postgres", "redis")


@pytest.fixture(scope="module")
def measured():
    file = Path(b6_flash_sale.__file__).with_name("results.json")
    return json.loads(file.read_text("utf-8"))["results"]["B6"]


def test_R184_every_store_is_measured_with_1_4_and_16_shards(measured):
    for store in STORES:
        for shards in (1, 4, 16):
            side = f"{store} S={shards}"
            assert measured["medians"][side] > 0
            assert 0 < measured["ratios"][f"{side} p50 ms"] <= measured["ratios"][f"{side} p99 ms"]


def test_R184_what_was_oversold_and_undersold_is_counted(measured):
    assert measured["ratios"]["ours: oversold"] == measured["ratios"]["ours: undersold"] == 0
    # The count finds something where there is something: looking first and writing after sells more than there is.
    assert measured["ratios"]["sqlite select: oversold, most"] > 0


@pytest.mark.parametrize("shards", b6_flash_sale.SHARDS)
def test_R184_a_round_of_it_sells_all_there_is_and_no_more(sqlite_url, tmp_path, shards):
    ran = b6_flash_sale._in_store(_with_tables(sqlite_url, tmp_path), tmp_path, shards, count())()
    assert ran.sold == b6_flash_sale.TOTAL
    assert ran.rate > 0
    assert 0 < ran.p50 <= ran.p99


def _with_tables(url, folder):
    b6_flash_sale.migrate_store(url, folder, b6_flash_sale.KIND)
    return url
