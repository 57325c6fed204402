import contextlib
import sys
from pathlib import Path

import pytest

# The raw server stands with the relay's tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "relay"))

from raw_server import OK, RawServer, reply


@pytest.fixture
def pos():
    """Makes raw servers, and ends them."""
    with contextlib.ExitStack() as stack:

        def make(behave=reply(OK), **options):
            server = RawServer(behave, **options)
            stack.callback(server.close)
            return server

        yield make
