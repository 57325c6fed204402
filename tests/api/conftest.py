import pytest

from tests.support.world import World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def sandbox_world(tmp_path):
    made = World(tmp_path / "sandbox", sandbox=True)
    yield made
    made.close()


@pytest.fixture
def says():
    """(status, code) of a refusal, whose body is in the API's shape."""

    def look(response):
        body = response.get_json()
        assert response.mimetype == "application/json"
        assert {"code", "message", "request_id"} <= set(body)
        assert body["message"] and body["request_id"] == response.headers["X-Request-ID"]
        return response.status_code, body["code"]

    return look
