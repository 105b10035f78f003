"""Every document of docs/first-steps.md is run in its order, with the ids that were returned in their places."""

import re
from pathlib import Path
from typing import Any

from api.graphql import ids
from tests.api.graphql.site import Site

_DOCS = Path(__file__).parents[3] / "docs"
_BLOCK = re.compile(r"```(graphql|json)\n(.*?)```", re.DOTALL)
_PLACE = re.compile(r"([a-z]+)_…")
_ID = re.compile(r"([a-z]+)_[0-9a-z]{26}")


def _blocks(page: str) -> list[tuple[str, str]]:
    return _BLOCK.findall((_DOCS / page).read_text(encoding="utf-8"))


def _leaves(value: Any) -> list[str]:
    """Return the texts of an answer, in its order."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in _leaves(each)]
    if isinstance(value, list):
        return [text for each in value for text in _leaves(each)]
    return [value] if isinstance(value, str) else []


class _Reader:
    """Who follows the page: it knows the last id of each kind, and the key's secret."""

    def __init__(self, site: Site) -> None:
        self.site, self.last, self.secret = site, dict[str, str](), ""

    async def follow(self, kind: str, text: str) -> Any:
        text = _PLACE.sub(lambda place: self.last[place[1]], text)
        if kind == "json":
            answer = await self.site.post(text.encode(), self.secret, path="/v1/events")
            return [each["status"] for each in answer.json()["results"]]
        shown = await self.site.read(text, self.site.staff())
        for leaf in _leaves(shown):
            if found := _ID.fullmatch(leaf):
                self.last[found[1]] = leaf
        for result in shown.values():
            # A list of a page has no code; a problem has.
            assert not (isinstance(result, dict) and "code" in result), (text, result)
        await self._catch_up(text, shown)
        return shown

    async def _catch_up(self, text: str, shown: Any) -> None:
        """Do what the workers do meanwhile."""
        world = self.site.world
        if "createTestClock" in text:
            world.clock_id = ids.clock_id(self.last["clk"])
        if "createApiKey" in text:
            self.secret = shown["createApiKey"]["secret"]
        if "advanceTestClock" in text:
            await world.arrive()
        if text.startswith("mutation"):
            await world.drain()


async def test_the_page_is_true(site: Site) -> None:
    [(_, example), *_] = _blocks("catalogue.md")
    publish = "... on ProductPublished { plans { plan } }"
    await site.change("publishProduct", publish, site.staff(), definition=example)
    reader, shown = _Reader(site), list[Any]()
    for kind, text in _blocks("first-steps.md"):
        shown.append(await reader.follow(kind, text))
    told = iter(shown)

    def find(field: str) -> Any:
        """Return the next answer that has a field."""
        return next(each[field] for each in told if isinstance(each, dict) and field in each)

    assert find("previewSubscribe") is None
    assert find("subscribe")["subscription"]["status"] == "TRIALING"
    assert next(each for each in told if isinstance(each, list)) == ["counted", "counted", "duplicate", "counted"]
    # 150,000 queries less 10,000: 100,000 x 0.002 + 40,000 x 0.0015 = 260.00, and 3 x 12.00; 19 % of 296.00 is 56.24.
    preview = find("previewInvoice")
    assert (preview["total"], preview["tax"]) == ({"amount": "352.24"}, {"amount": "56.24"})
    failed = find("customer")
    assert failed["subscriptions"] == [{"status": "PAST_DUE"}]
    [attempt] = failed["invoices"]["nodes"][0]["attempts"]
    assert (attempt["state"], attempt["declineCode"]) == ("FAILED", "generic_decline")
    assert find("dunningCases")["nodes"] == [{"state": "RECOVERED", "recoveredBy": "NEW_METHOD"}]
    assert find("previewChange")["direction"] == "UPGRADE"
    assert find("changeSubscription")["change"]["state"] == "PENDING"
    # Nothing is used in the new month yet: one top-up fills the wallet to its target.
    balances = next(each for each in told if isinstance(each, dict) and "topUps" in each)
    assert [(each["state"], each["amount"]) for each in balances["topUps"]] == [("PAID", {"amount": "50.00"})]
    assert next(each for each in told if isinstance(each, list)) == ["counted"]
    assert find("invoice")["state"] == "PAID"
    note = find("issueCreditNote")["creditNote"]
    # 10.00 and 19 % of it.
    assert (note["total"], note["tax"]) == ({"amount": "11.90"}, {"amount": "1.90"})
    # Of 59.50 the wallet has paid 50.00, and the card 9.50.
    assert find("refundCreditNote")["refund"]["amount"] == {"amount": "9.50"}
    own = find("customer")
    assert (own["name"], own["subscriptions"][0]["quantity"]) == ("Ada GmbH", 5)
