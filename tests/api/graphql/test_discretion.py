"""What staff write for each other is not shown to the customer whom it is about."""

from domain.kernel.ids import encode
from domain.payments import store as payments
from domain.payments.methods import service as methods
from tests.api.graphql.site import Site
from tests.stories.owing import NO_FUNDS

_CASES = "{ dunningCases { nodes { id timeline { kind facts } } } }"
_AUDIT = (
    "query($c: ID) { auditEntries(customerId: $c, first: 100) { nodes { action principalKind principalId facts } } }"
)
_PAUSED = "... on DunningCaseChanged { case { id } }"
_WORDS = "Ada never answers; he may be a fraud"


async def test_a_customer_is_not_told_why_staff_acted_nor_who_nor_what_the_bank_says_of_a_card(site: Site) -> None:
    ada = await site.world.customer(on="2026-03-01", card=NO_FUNDS)
    await site.world.subscribe(ada, "starter", product="edge")
    finance, own, name = site.staff("finance"), site.member(ada.id), encode("customer", ada.id)
    [case] = (await site.read(_CASES, finance))["dunningCases"]["nodes"]
    await site.change("pauseDunningCase", _PAUSED, finance, id=case["id"], reason=_WORDS)
    async with site.runtime.db.transaction() as tx:
        [method] = await payments.list_methods(tx, ada.id, limit=1)
        await methods.block_method(tx, site.world.call, method, "stolen_card")

    [shown] = (await site.read(_CASES, finance))["dunningCases"]["nodes"]
    assert [each["facts"]["reason"] for each in shown["timeline"] if each["kind"] == "paused"] == [_WORDS]
    [told] = (await site.read(_CASES, own))["dunningCases"]["nodes"]
    assert [each["kind"] for each in told["timeline"]] == [each["kind"] for each in shown["timeline"]]
    assert not [each for each in told["timeline"] if "reason" in each["facts"]]
    assert _WORDS not in str(told)

    everything = (await site.read(_AUDIT, finance, c=name))["auditEntries"]["nodes"]
    reasons = {each["action"]: each["facts"]["reason"] for each in everything if "reason" in each["facts"]}
    assert reasons == {"dunning_paused": _WORDS, "block_method": "stolen_card"}
    mine = (await site.read(_AUDIT, own))["auditEntries"]["nodes"]
    assert [each["action"] for each in mine] == [each["action"] for each in everything]
    assert not [each for each in mine if "reason" in each["facts"]]
    assert ("STAFF", "staff:someone") in {(each["principalKind"], each["principalId"]) for each in everything}
    named = [each["principalId"] for each in mine]
    assert named == ["staff" if each["principalKind"] == "STAFF" else each["principalId"] for each in everything]
