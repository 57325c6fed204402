"""A mixin that runs a conformance kit's stories on both databases."""

import pytest


class OnBothDatabases:
    """Before the kit among a test class's parents: `class TestMine(OnBothDatabases, CampaignContract)`."""

    @pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
    def database(self, request):
        if request.param == "sqlite":
            return "sqlite:///drainage.db"
        return request.getfixturevalue("postgres_url")
