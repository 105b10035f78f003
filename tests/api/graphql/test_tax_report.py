"""Staff read the taxes of a month; who does not read the books is shown nothing."""

from tests.api.graphql.site import Site

_REPORT = """query($start: DateTime!, $end: DateTime!) { taxReport(environment: TEST, start: $start, end: $end) {
    currency country region name rate inclusive reason base { amount } tax { amount }
    invoicedBase { amount } invoicedTax { amount } takenBackBase { amount } takenBackTax { amount } } }"""
_JANUARY = {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}


async def test_the_taxes_of_a_month_are_read_by_those_who_read_the_books(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-31")
    await site.world.subscribe(ada, "pro")
    [row] = (await site.read(_REPORT, site.staff("finance"), **_JANUARY))["taxReport"]
    fee, nothing = {"amount": "79.00"}, {"amount": "0.00"}
    assert (row["base"], row["invoicedBase"], row["takenBackBase"]) == (fee, fee, nothing)
    assert (row["tax"], row["invoicedTax"], row["takenBackTax"]) == (nothing, nothing, nothing)
    # Taxes were not set up.
    stated = (row["currency"], row["country"], row["region"], row["name"], row["rate"], row["reason"], row["inclusive"])
    assert stated == ("USD", None, None, None, None, None, False)

    backwards = await site.run(_REPORT, site.staff("finance"), start=_JANUARY["end"], end=_JANUARY["start"])
    assert [each["extensions"]["code"] for each in backwards["errors"]] == ["tax_stretch_refused"]
    for token in (site.staff("support"), site.member(ada.id)):
        refused = await site.run(_REPORT, token, **_JANUARY)
        assert [each["extensions"]["code"] for each in refused["errors"]] == ["forbidden"]
