"""The document is what the API does: calls made from it, fitting and not; no 500, no undescribed answer."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.support.world import PASSWORD, World

CALLS = [
    ("GET", "/api/v1/payments/{transaction_id}"),
    ("GET", "/api/v1/payments"),
    ("GET", "/api/v1/persons/{person_id}"),
    ("POST", "/api/v1/shares"),
    ("POST", "/api/v1/orders"),
    ("POST", "/api/v1/orders/{order_id}/pay"),
    ("POST", "/api/v1/orders/{order_id}/refund"),
    ("GET", "/api/v1/summary"),
    ("GET", "/api/v1/coupons/{code}"),
    ("POST", "/api/v1/coupons/{code}/redeem"),
    ("POST", "/api/v1/coupons/{code}/reverse"),
    ("POST", "/api/v1/scans"),
    ("GET", "/api/v1/scans/conflicts"),
    ("POST", "/api/v1/scans/{nonce}/acknowledge"),
    ("GET", "/api/v1/campaigns/{campaign}"),
    ("POST", "/api/v1/campaigns/{campaign}/state"),
    ("POST", "/api/v1/reauthenticate"),
    ("POST", "/api/v1/notifications"),
    ("POST", "/api/v1/login"),
    ("POST", "/api/v1/logout"),
    ("POST", "/api/v1/refresh"),
    ("POST", "/api/v1/password"),
]


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory):
    """An installation in which things have happened, so that some of the guesses meet something."""
    world = World(tmp_path_factory.mktemp("fuzz"), sandbox=True)
    world.user("wang", "clerk", merchant="sweets")
    world.claimed("openid-a")
    world.pay("0", "openid-b")
    yield world
    assert world.runtime.accounts.login("wang", PASSWORD, "192.0.2.77", world.clock()).text
    world.close()


@pytest.fixture(scope="module")
def api(lived_in):
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", lived_in.app())


def test_every_documented_call_is_tried(api):
    assert {(one.ok().method.upper(), one.ok().path) for one in api.get_all_operations()} == set(CALLS)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_the_document_is_kept_whatever_is_sent(api, lived_in, method, path, mode):
    operation = api[path][method]
    role = "integrator" if path.endswith("/notifications") else "admin"
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.headers):
        return

    beyond = {
        # That the new password is not the old one is more than a schema can say.
        "/api/v1/password": [positive_data_acceptance],
        # Too large a body is refused before anybody looks whether it fits; 413 does not count as a refusal there.
        "/api/v1/notifications": [negative_data_rejection],
    }

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    def call(case):
        # Throttles would end the game after a few guesses; each call is made a minute after the one before.
        lived_in.clock.move(minutes=1)
        token = lived_in.runtime.accounts.create_token("fuzz", role, None, None, lived_in.clock(), "tests").text
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, excluded_checks=beyond.get(path, []))

    call()
