"""Fee periods under the terms of a subscription, and their lines."""

from dataclasses import replace
from decimal import Decimal

from domain.invoices.derivation import WantedLine
from domain.invoices.fees import FEE_PERIODS_BACK_MAX, FeePeriod, fee_lines, fee_periods_begun
from domain.invoices.invoice import LineKind
from domain.kernel.ids import PlanVersionId, PriceId
from domain.kernel.period import Period
from domain.plans.plan import Catalogue, Proration, catalogue_of
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from domain.subscriptions.term import Term, term_of, with_term
from tests import make
from tests.domain.invoices import examples

# A second plan: 158.00 a month or 1,896.00 a year for each unit.
TEAM = PlanVersionId(make.new_id())


def two_plans(*, proration: Proration = "second") -> Catalogue:
    """Make a catalogue of both plans."""
    pro = replace(examples.catalogue().version(examples.VERSION), proration=proration)
    team_fees = [
        replace(
            price,
            id=PriceId(make.new_id()),
            plan_version_id=TEAM,
            model="per_unit",
            definition={"unit_amount": amount},
        )
        for price, amount in ((examples.FEE, "158.00"), (examples.YEARLY_FEE, "1896.00"))
    ]
    team = replace(pro, id=TEAM, number=4, prices=tuple(team_fees))
    return catalogue_of("f", [examples.PRODUCT], [examples.PLAN], [pro, team], [])


def _change(subscription: Subscription, terms: list[Term], at: str, **what: object) -> list[Term]:
    """Return the terms after a change of the last one."""
    became = replace(terms[-1], starts_at=make.at(at), **what)  # type: ignore[arg-type]  # fields of a term
    assert became.subscription_id == subscription.id
    return with_term(terms, became)


def _lines(
    subscription: Subscription, terms: list[Term], now: str, *, proration: Proration = "second"
) -> list[WantedLine]:
    catalogue = two_plans(proration=proration)
    begun = fee_periods_begun(subscription, terms, make.at(now))
    return [line for fee in begun for line in fee_lines(subscription, fee, catalogue)]


def _shown(lines: list[WantedLine]) -> list[tuple[str, str, str, int]]:
    """Return which line it is, the first and last day, and the amount."""
    return [
        (
            f"{line.identity.kind} {line.identity.dimension_key}".strip(),
            f"{line.identity.period.start:%d %b}",
            f"{line.identity.period.end:%d %b}",
            line.amount_minor,
        )
        for line in lines
    ]


def _starts(subscription: Subscription, now: str, *terms: Term) -> list[str]:
    begun = fee_periods_begun(subscription, terms, make.at(now))
    return [fee.service.start.date().isoformat() for fee in begun]


def test_a_fee_is_due_at_the_first_instant_of_its_period_and_not_before() -> None:
    subscription = examples.subscription("2026-01-31")
    assert _starts(subscription, "2026-01-31") == ["2026-01-31"]
    assert _starts(subscription, "2026-02-27T23:59:59") == ["2026-01-31"]
    # 31 January clamps to 28 February and comes back on 31 March.
    assert _starts(subscription, "2026-03-31") == ["2026-01-31", "2026-02-28", "2026-03-31"]


def test_no_fee_is_due_for_a_period_that_starts_where_the_subscription_ends() -> None:
    subscription = examples.subscription("2026-01-01", cancel="2026-03-01")
    assert _starts(subscription, "2026-03-01") == ["2026-01-01", "2026-02-01"]
    assert _starts(subscription, "2026-06-01") == ["2026-01-01", "2026-02-01"]


def test_a_yearly_fee_is_due_once_a_year() -> None:
    subscription = examples.subscription("2026-01-01", interval=Interval.YEAR)
    assert _starts(subscription, "2026-12-31T23:59") == ["2026-01-01"]
    assert _starts(subscription, "2027-01-01") == ["2026-01-01", "2027-01-01"]


def test_a_start_between_boundaries_opens_a_short_first_period() -> None:
    subscription = examples.subscription("2026-04-14", anchor="2026-04-01")
    first, second = fee_periods_begun(subscription, [], make.at("2026-05-01"))
    assert (first.service.start, first.whole.start) == (make.at("2026-04-14"), make.at("2026-04-01"))
    assert second.service == second.whole


def test_a_fee_is_the_one_of_the_term_in_force_when_its_period_began() -> None:
    subscription = examples.subscription("2026-01-01")
    terms = _change(subscription, [term_of(subscription, subscription.started_at)], "2026-02-01", plan_version_id=TEAM)
    assert _shown(_lines(subscription, terms, "2026-02-01")) == [
        ("fee", "01 Jan", "01 Feb", 7_900),
        ("fee", "01 Feb", "01 Mar", 15_800),
    ]


def test_fee_periods_are_looked_back_at_within_a_bound() -> None:
    subscription = examples.subscription("2016-01-01")
    starts = _starts(subscription, "2026-01-01")
    assert (len(starts), starts[-1]) == (FEE_PERIODS_BACK_MAX, "2026-01-01")
    # Terms at hand start in December 2025: fees of before are left alone, whatever was in force then.
    assert _starts(subscription, "2026-01-01", term_of(subscription, make.at("2025-12-01"))) == [
        "2025-12-01",
        "2026-01-01",
    ]


def test_the_bound_does_not_part_two_periods_that_overlap() -> None:
    # Monthly until 16 January 2023, then yearly, then monthly again: that January is the 37th period from the end.
    subscription = examples.subscription("2022-12-01")
    terms = [term_of(subscription, subscription.started_at)]
    terms = _change(subscription, terms, "2023-01-16", anchor_at=make.at("2023-01-16"))
    starts = _starts(subscription, "2025-12-16", *terms)
    assert (len(starts), starts[:2]) == (FEE_PERIODS_BACK_MAX + 1, ["2023-01-01", "2023-01-16"])


def test_an_end_that_was_known_when_a_period_began_shortens_it_and_a_later_one_does_not() -> None:
    subscription = examples.subscription("2026-01-01", cancel="2026-02-15")
    known = replace(subscription, canceled_at=make.at("2026-01-20"))
    # 14 of 28 days of February.
    assert _shown(_lines(known, [], "2026-03-01")) == [
        ("fee", "01 Jan", "01 Feb", 7_900),
        ("fee", "01 Feb", "15 Feb", 3_950),
    ]
    later = replace(subscription, canceled_at=make.at("2026-02-10"))
    assert _shown(_lines(later, [], "2026-03-01"))[1] == ("fee", "01 Feb", "01 Mar", 7_900)


def test_an_end_that_is_brought_forward_leaves_what_was_billed_up_to_the_end_known_before() -> None:
    dated = replace(examples.subscription("2026-01-01", cancel="2026-02-21"), canceled_at=make.at("2026-01-10"))
    [_, known] = fee_periods_begun(dated, (), make.at("2026-02-10"))
    ended = replace(dated, ended_at=make.at("2026-02-10"), paid_until=make.at("2026-02-21"))
    [first, second] = fee_periods_begun(ended, (), make.at("2026-02-10"))
    assert second == known == replace(known, service=Period(make.at("2026-02-01"), make.at("2026-02-21")))
    assert first.service == Period(make.at("2026-01-01"), make.at("2026-02-01"))


def test_a_fee_is_one_line_for_its_period() -> None:
    [line] = _lines(examples.subscription("2026-01-01"), [], "2026-01-01")
    assert (line.amount_minor, line.quantity, line.unit) == (7_900, Decimal(1), "month")
    assert line.description == "LLM Pro, monthly fee, 1 Jan 2026 – 1 Feb 2026"  # noqa: RUF001 - a range
    assert (line.derivation["exact_amount"], line.derivation["share_of_time"]) == ("79", "1")
    assert "proration" not in line.derivation


def test_a_yearly_fee_is_the_price_of_the_year() -> None:
    [line] = _lines(examples.subscription("2026-01-01", interval=Interval.YEAR), [], "2026-01-01")
    assert (line.amount_minor, line.unit) == (94_800, "year")
    assert "yearly fee" in line.description


def test_a_short_first_fee_period_costs_its_share_of_time_rounded_once() -> None:
    # 17 of 30 days: 79.00 x 17/30 = 44.7666..., so 44.77.
    subscription = examples.subscription("2026-04-14", anchor="2026-04-01")
    [line] = _lines(subscription, [], "2026-04-14")
    assert line.amount_minor == 4_477
    assert line.derivation["share_of_time"] == "17/30"
    assert line.derivation["exact_amount"] == "1343/30"  # 79 x 17 = 1343


def test_a_change_of_plan_takes_back_the_unused_fee_and_charges_the_new_one_for_the_rest() -> None:
    subscription = examples.subscription("2026-04-01")
    terms = _change(subscription, [term_of(subscription, subscription.started_at)], "2026-04-16", plan_version_id=TEAM)
    lines = _lines(subscription, terms, "2026-04-16")
    assert _shown(lines) == [
        ("fee", "01 Apr", "01 May", 7_900),
        ("proration credit", "16 Apr", "01 May", -3_950),
        ("proration charge", "16 Apr", "01 May", 7_900),
    ]
    credit, charge = lines[1:]
    assert credit.description == "Unused: LLM Pro, monthly fee, 16 Apr 2026 – 1 May 2026"  # noqa: RUF001 - a range
    assert credit.quantity == -1
    assert (credit.derivation["share_of_time"], credit.derivation["exact_amount"]) == ("0.5", "-39.5")
    assert charge.derivation["proration"] == "charge"
    # Looked at a month later the same lines are wanted, beside the next fee.
    assert _shown(_lines(subscription, terms, "2026-05-01")) == [*_shown(lines), ("fee", "01 May", "01 Jun", 15_800)]


def test_a_change_of_quantity_is_one_line_for_the_difference() -> None:
    subscription = replace(examples.subscription("2026-04-01"), plan_version_id=TEAM, quantity=2)
    terms = _change(subscription, [term_of(subscription, subscription.started_at)], "2026-04-16", quantity=5)
    lines = _lines(subscription, terms, "2026-04-16")
    assert _shown(lines) == [
        ("fee", "01 Apr", "01 May", 31_600),
        ("proration quantity", "16 Apr", "01 May", 23_700),  # 3 x 158.00 / 2
    ]
    assert lines[1].quantity == 3
    assert lines[1].description.endswith("quantity 2 to 5")


def test_a_change_of_interval_takes_back_the_rest_and_starts_a_full_period() -> None:
    subscription = examples.subscription("2026-04-01")
    at = make.at("2026-04-16")
    terms = _change(
        subscription,
        [term_of(subscription, subscription.started_at)],
        "2026-04-16",
        interval=Interval.YEAR,
        anchor_at=at,
    )
    expected = [
        ("fee", "01 Apr", "01 May", 7_900),
        ("proration credit", "16 Apr", "01 May", -3_950),
        ("fee", "16 Apr", "16 Apr", 94_800),
    ]
    assert _shown(_lines(subscription, terms, "2026-04-16")) == expected
    # No more of the old grid: the next one is a year later.
    assert _shown(_lines(subscription, terms, "2026-07-01")) == expected


def test_a_change_at_the_instant_of_another_one_replaces_it_and_one_at_the_start_replaces_the_fee() -> None:
    subscription = examples.subscription("2026-04-01")
    first = [term_of(subscription, subscription.started_at)]
    changed = _change(subscription, first, "2026-04-16", plan_version_id=TEAM)
    back = _change(subscription, changed, "2026-04-16", plan_version_id=examples.VERSION)
    assert _shown(_lines(subscription, back, "2026-04-16")) == [("fee", "01 Apr", "01 May", 7_900)]
    at_once = _change(subscription, first, "2026-04-01", plan_version_id=TEAM)
    assert _shown(_lines(subscription, at_once, "2026-04-01")) == [("fee", "01 Apr", "01 May", 15_800)]


def test_a_term_that_is_not_billed_owes_no_fees() -> None:
    subscription = examples.subscription("2026-04-01")
    trial = term_of(subscription, subscription.started_at, billed=False)
    assert _lines(subscription, [trial], "2026-06-01") == []
    terms = _change(subscription, [trial], "2026-04-15", billed=True, anchor_at=make.at("2026-04-15"))
    assert _shown(_lines(subscription, terms, "2026-04-15")) == [("fee", "15 Apr", "15 May", 7_900)]


def test_a_plan_that_prorates_by_days_counts_the_day_of_the_change_as_the_new_states() -> None:
    subscription = examples.subscription("2026-04-01")
    terms = _change(
        subscription, [term_of(subscription, subscription.started_at)], "2026-04-16T18:30", plan_version_id=TEAM
    )
    lines = _lines(subscription, terms, "2026-04-17", proration="day")
    # The 16th and 14 more of 30 days, although 18:30 has passed.
    assert [line.amount_minor for line in lines] == [7_900, -3_950, 7_900]
    assert {line.derivation["basis"] for line in lines} == {"day"}


def test_a_fee_period_can_be_made_by_hand_for_a_comparison() -> None:
    subscription = examples.subscription("2026-01-01")
    january = Period(make.at("2026-01-01"), make.at("2026-02-01"))
    [line] = fee_lines(subscription, FeePeriod(january, january, (term_of(subscription, january.start),)), two_plans())
    assert (line.identity.kind, line.amount_minor) == (LineKind.FEE, 7_900)
