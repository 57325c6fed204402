"""A house for each test, on either database."""

import pytest
from referral_hands import Hands


@pytest.fixture
def make_hands(tmp_path):
    made = []

    def make(settings=None, database="sqlite:///drainage.db", **shared):
        hands = Hands(tmp_path / f"house-{len(made)}", database, settings, **shared)
        made.append(hands)
        return hands

    yield make
    for hands in made:
        hands.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request):
    if request.param == "sqlite":
        return "sqlite:///drainage.db"
    return request.getfixturevalue("postgres_server").new_database(empty=True)
