"""The tests of where and when a campaign counts: its states, its circle, its merchants, and a kind that fails."""

from __future__ import annotations

from campaigns.conformance.furnished import Furnished, MakeStage
from campaigns.conformance.stage import Stage
from campaigns.conformance.stories import broken
from gateway.contract.campaign import PaymentReceived


class StandingContract(Furnished):
    """Inherited by `CampaignContract`."""

    def test_what_is_not_live_gives_nothing(self, make_stage: MakeStage) -> None:
        """R075: a draft, a paused and an ended campaign: the whole story is played, and nothing is given."""
        for moves in ((), ("live", "paused"), ("live", "ended")):
            stage = make_stage(state="draft")
            for to in moves:
                stage.call("POST", "/state", {"to": to}, wants=200)
            stage.in_order = False
            self.prepare(stage)
            self.play(stage, list(self.rewarding_events()))
            assert not any(self.given(stage).values()), (moves, self.given(stage))
            assert broken(stage) == []

    def test_a_paused_campaign_goes_on(self, make_stage: MakeStage) -> None:
        """R075: paused and live again, the story gives what it gives."""
        stage = make_stage(state="draft")
        for to in ("live", "paused", "live"):
            stage.call("POST", "/state", {"to": to}, wants=200)
        self.prepare(stage)
        self.play(stage, list(self.rewarding_events()))
        if self.gives:
            assert any(self.given(stage).values())

    def test_what_is_over_gives_nothing(self, make_stage: MakeStage) -> None:
        """R075: an hour after its end, and an hour before its beginning."""
        for shared in ({"ends_at": "2026-11-22T03:05:06Z"}, {"starts_at": "2027-11-22T03:05:06Z"}):
            stage = make_stage(**{"starts_at": "2026-11-01T00:00:00Z", **shared})
            stage.in_order = False
            self.prepare(stage)
            self.play(stage, list(self.rewarding_events()))
            assert not any(self.given(stage).values()), shared

    def test_another_circle_is_not_heard(self, stage: Stage) -> None:
        """Payments and refunds of another circle never reach the campaign."""
        before = len(stage.kind.heard)
        stage.pay("elsewhere", "kit-stranger", 50_000, shop="tea")
        stage.refund("elsewhere", 50_000, shop="tea")
        assert len(stage.kind.heard) == before

    def test_a_merchant_who_takes_no_part_is_not_heard(self, make_stage: MakeStage) -> None:
        """With `merchants`, a payment at another of the circle does not reach it."""
        stage = make_stage(merchants=["noodles"], state="draft")
        stage.call("POST", "/state", {"to": "live"})
        before = len(stage.kind.heard)
        stage.pay("at-books", "kit-guest", 50_000, shop="books")
        told = [one for one in stage.kind.heard[before:] if isinstance(one.event, PaymentReceived)]
        assert not told

    def test_a_kind_that_fails_costs_nobody_his_payment(self, stage: Stage) -> None:
        """R245: it raises after it has written: the payment stays, what it wrote is gone, staff are told."""
        stage.kind.fails = True
        own = {name: rows for name, rows in stage.dump().items() if name.startswith(f"{self.kind.slug}_")}
        taken = stage.pay("while-it-fails", "kit-guest")
        assert taken.outcome == "processed"
        row = stage.one("SELECT tag_after FROM payments WHERE transaction_id = 'while-it-fails'")
        assert row["tag_after"] == "tagged"
        after = stage.dump()
        assert {name: after[name] for name in own} == own
        assert stage.all("SELECT id FROM incidents WHERE kind = 'campaign_failed'")

    def test_a_payer_whom_nobody_tells_is_no_trouble(self, stage: Stage) -> None:
        """A payment without a payer, and one of an amount below the circle's least."""
        assert stage.pay("nobody", "").outcome == "processed"
        assert stage.pay("little", "kit-guest", 1).outcome == "processed"
        stage.refund("nobody", 10_000)
        assert broken(stage) == []
