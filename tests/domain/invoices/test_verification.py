"""What a line counted is told from what came in after it, and what cannot be told apart is verified together."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from domain.invoices import rating
from domain.invoices.assembly import usage_of
from domain.invoices.derivation import WantedLine, changes
from domain.invoices.invoice import Invoice, InvoiceKind, Line, State
from domain.invoices.recount import Bound, Charged, Recount, Recounted, bounds_of, segment_ids_of
from domain.invoices.tax import NoTax, Rate
from domain.invoices.taxing.statement import TaxStatement
from domain.invoices.verification import (
    Difference,
    Outcome,
    Verification,
    chains_of,
    check_totals,
    differences_of,
    may_be_archived,
    settled_later,
    sums_of,
)
from domain.kernel.call import Environment
from domain.kernel.ids import InvoiceId, LineId, SegmentId, encode
from domain.kernel.money import Money
from domain.plans.provider_price import Provider, price_book_of
from domain.usage.facts import rules_of
from domain.usage.reading import Combination, MeterUsage
from domain.usage.recount import CountedEvent, Counting, digest_of
from tests import make
from tests.domain.invoices import examples
from tests.domain.invoices.examples import COST, CUSTOMER, DYNAMIC, GEMINI, PER_REQUEST, REQUESTS

CATALOGUE = examples.catalogue()
BOOK = price_book_of("f", [Provider("gemini", "Gemini", ())], [], [])
RULES = rules_of(CATALOGUE, BOOK, "f")
SUBSCRIPTION = examples.subscription()
SEGMENT = examples.segment(SUBSCRIPTION, "2026-01-01", "2026-02-01")


def call(number: int, cost: str | None = "0.5") -> CountedEvent:
    """Make a stored call of Gemini 2.5 Pro, counted under the name of the row that priced it."""
    at = make.at("2026-01-02") + timedelta(minutes=number)
    kept = Decimal(cost) if cost else None
    priced = ("gemini", "gemini-2.5-pro") if cost else None
    counting = tuple(meter.id for meter in CATALOGUE.meters_for("llm.call") if cost or meter.aggregation != "cost")
    return CountedEvent("s", f"e{number}", "llm.call", at, dict(GEMINI), kept, priced, counting)


def invoice() -> Invoice:
    """Make an opened invoice of nothing; later ones have higher ids."""
    at, zero = make.at("2026-02-01"), Money(0, "USD")
    return Invoice(
        CUSTOMER,
        InvoiceId(make.new_id()),
        Environment.TEST,
        "USD",
        InvoiceKind.INVOICE,
        State.OPEN,
        "TEST-2026-000001",
        at,
        at,
        at,
        at,
        None,
        zero,
        zero,
        zero,
        1,
    )


def billed(on: Invoice, *wanted: WantedLine, before: tuple[Line, ...] = ()) -> tuple[Line, ...]:
    """Put what is missing on an invoice, as a derivation does."""
    return tuple(
        Line(
            LineId(make.new_id()),
            on.id,
            CUSTOMER,
            new.identity,
            new.revision,
            new.description,
            new.quantity,
            new.unit,
            Money(new.amount_minor, "USD"),
            Money(0, "USD"),
            new.derivation,
        )
        for new in changes(wanted, before, ()).add
    )


def recounted(*events: CountedEvent | Counting, bounds: dict[Charged, Bound] | None = None) -> Recount:
    """Count events anew, and take back what is given so."""
    found = Recount(CUSTOMER, RULES, [DYNAMIC], bounds or {})
    for event in events:
        found.add(event if isinstance(event, Counting) else Counting(1, event))
    return found


def wanted(recount: Recount, *, whole: bool = False) -> list[WantedLine]:
    """Rate what the lines counted, or all of it."""
    totals = recount.whole_totals if whole else recount.billed_totals
    return rating.usage_lines(rating.SegmentUsage(SUBSCRIPTION, SEGMENT, totals, {}), CATALOGUE)


def all_of(*events: CountedEvent) -> list[WantedLine]:
    """Rate events as a derivation at that time did."""
    return wanted(recounted(*events), whole=True)


def test_a_line_is_recomputed_from_the_events_it_had_counted() -> None:
    first = invoice()
    [line] = billed(first, *all_of(call(1), call(2)))
    chains = chains_of([line], first)
    bounds = bounds_of(chains, {DYNAMIC.id: COST.id}, SEGMENT.id)
    [(charged, bound)] = bounds.items()
    assert bound == (2, (digest_of(CUSTOMER, call(1)) + digest_of(CUSTOMER, call(2))) % 2**256)
    recount = recounted(call(1), call(2), call(3), bounds=bounds)
    assert recount.is_late(charged)
    assert recount.is_found(charged)
    [again] = wanted(recount)
    assert (again.amount_minor, again.derivation["events"]) == (100, 2)
    assert differences_of(chains[line.identity], again) == ()
    # In another order the third is taken for the second: the amount is the same, the digest is not.
    other = recounted(call(1), call(3), call(2), bounds=bounds)
    assert not other.is_found(charged)
    [again] = wanted(other)
    assert [each.field for each in differences_of([line], again)] == ["derivation.digest"]


def test_what_was_taken_back_after_a_line_still_belongs_to_it() -> None:
    first, second = invoice(), invoice()
    [line] = billed(first, *all_of(call(1), call(2)))
    voided = (call(1), call(2), Counting(-1, call(2)))
    [less] = billed(second, *wanted(recounted(*voided), whole=True), before=(line,))
    # 1.00 was billed; without the second call it is 0.50.
    assert (less.amount.minor, less.revision, less.derivation["events"]) == (-50, 1, 1)
    for on, chain in ((first, [line]), (second, [line, less])):
        bounds = bounds_of(chains_of([line, less], on), {DYNAMIC.id: COST.id}, SEGMENT.id)
        recount = recounted(*voided, call(3), bounds=bounds)
        assert differences_of(chain, wanted(recount)[0]) == ()
    # Counted again, it is as it was: the state of the first line comes back.
    restored = recounted(*voided, Counting(1, call(2)))
    assert wanted(restored, whole=True)[0].derivation["digest"] == line.derivation["digest"]
    assert restored.events == 2


def test_a_void_counts_for_nothing_itself() -> None:
    void = replace(call(9), type="void")
    assert recounted(call(1), void).events == 1


def test_what_was_counted_in_another_order_is_settled_by_its_later_adjustment() -> None:
    first, second = invoice(), invoice()
    # The third came in before the second was committed, and was counted after it.
    [line] = billed(first, *all_of(call(1), call(3)))
    [later] = billed(second, *all_of(call(1), call(2), call(3)), before=(line,))
    assert (later.revision, later.amount.minor) == (1, 50)
    [whole] = all_of(call(1), call(2), call(3))
    assert settled_later([line, later], whole)
    assert not settled_later([replace(line, amount=Money(90, "USD")), later], whole)
    assert not settled_later([line, replace(later, derivation={**later.derivation, "digest": "0"})], whole)
    assert not settled_later([line], whole)
    assert not settled_later([line, later], None)


def test_an_adjustment_is_compared_as_the_sum_of_its_revisions() -> None:
    first, second = invoice(), invoice()
    [line] = billed(first, *all_of(call(1)))
    [later] = billed(second, *all_of(call(1), call(2)), before=(line,))
    chain = chains_of([later, line], second)[line.identity]
    assert chain == [line, later]
    assert chains_of([later, line], first)[line.identity] == [line]
    [whole] = all_of(call(1), call(2))
    assert differences_of(chain, whole) == ()
    wrong = replace(later, derivation={**later.derivation, "billed_before_minor": 49})
    assert differences_of([line, wrong], whole) == (Difference("billed_before_minor", "49", "50"),)


def test_a_line_of_which_nothing_is_left_is_equal_to_nothing() -> None:
    first, second = invoice(), invoice()
    [line] = billed(first, *all_of(call(1)))
    [undone] = billed(second, before=(line,))
    assert (undone.amount.minor, undone.quantity, undone.derivation["events"]) == (-50, Decimal("-0.5"), 0)
    assert undone.derivation["digest"] == "0" * 64
    assert differences_of([line, undone], None) == ()
    key = line.identity.dimension_key
    assert bounds_of({line.identity: [line, undone]}, {DYNAMIC.id: COST.id}, SEGMENT.id) == {(COST.id, key): (0, 0)}


def test_the_digest_covers_everything_that_was_counted() -> None:
    event = call(1)
    changed = [
        replace(event, source="t"),
        replace(event, event_id="e2"),
        replace(event, occurred_at=event.occurred_at + timedelta(microseconds=1)),
        replace(event, cost=Decimal("0.51")),
        replace(event, properties={**GEMINI, "input_tokens": 1}),
    ]
    assert len({digest_of(CUSTOMER, each) for each in (event, *changed)}) == 6
    # The database may write the same numbers with other digits.
    same = replace(event, cost=Decimal("0.500"), properties={**GEMINI, "seconds": Decimal("1.50")})
    assert digest_of(CUSTOMER, same) == digest_of(
        CUSTOMER, replace(event, properties={**GEMINI, "seconds": Decimal("1.5")})
    )


def test_an_unpriced_event_counts_for_no_cost() -> None:
    recount = recounted(call(1), call(2, None), bounds={})
    [line] = wanted(recount, whole=True)
    assert (line.quantity, line.derivation["events"]) == (Decimal("0.5"), 1)


def requests(*regions: str) -> list[Counting]:
    """Make stored requests of regions, a minute apart."""
    at = make.at("2026-01-02")
    return [
        Counting(
            1,
            CountedEvent(
                "s", f"e{n}", "edge.request", at + timedelta(minutes=n), {"region": each}, None, None, (REQUESTS.id,)
            ),
        )
        for n, each in enumerate(regions)
    ]


def test_a_line_that_sums_combinations_up_counts_over_all_of_them() -> None:
    rules = rules_of(examples.catalogue(PER_REQUEST), BOOK, "f")
    first = requests("eu", "us", "eu", "ap")
    digest = sum(digest_of(CUSTOMER, each.event) for each in first[:3]) % 2**256
    recount = Recount(CUSTOMER, rules, [PER_REQUEST], {(REQUESTS.id, ""): (3, digest)}, by_event=[REQUESTS.id])
    for counting in first:
        recount.add(counting)
    assert {total.dimensions["region"]: total.quantity for total in recount.billed_totals} == {"eu": 2, "us": 1}
    assert recount.counted((REQUESTS.id, "")) == 4
    assert recount.is_found((REQUESTS.id, ""))
    assert recount.values == {REQUESTS.id: [Decimal(1)] * 3}


def test_a_quantity_that_is_no_sum_comes_from_the_stored_hours() -> None:
    largest = replace(REQUESTS, aggregation="max", value_properties=("size",))
    catalogue = examples.catalogue(PER_REQUEST)
    rules = replace(rules_of(catalogue, BOOK, "f"), meters={REQUESTS.id: largest})
    hours = [examples.total(largest, "7", {"region": "eu"}, events=2)]
    recount = Recount(CUSTOMER, rules, [PER_REQUEST], {}, hours=hours)
    for counting in requests("eu", "eu"):
        counting.event.properties["size"] = 5
        recount.add(counting)
    [total] = recount.whole_totals
    assert (total.quantity, total.events) == (Decimal(7), 2)


def test_the_sums_of_an_invoice_are_those_of_its_lines() -> None:
    first = invoice()
    lines = billed(first, *all_of(call(1)))
    # One line of 0.50.
    right = replace(first, subtotal=Money(50, "USD"))
    assert sums_of(right, lines) == ()
    assert sums_of(replace(right, tax=Money(1, "USD")), lines) == (Difference("tax_minor", "1", "0"),)
    assert sums_of(first, lines) == (Difference("subtotal_minor", "0", "50"),)


def test_the_taxes_of_an_invoice_are_those_of_its_rates_and_a_reason_for_none_takes_nothing() -> None:
    first = invoice()
    [line] = [replace(each, tax=Money(10, "USD")) for each in billed(first, *all_of(call(1)))]
    [free] = [replace(each, id=LineId(make.new_id())) for each in billed(first, *all_of(call(1)))]
    vat = TaxStatement(Rate("VAT", Decimal(19)), 50, 10, lines={line.id: 10})
    exempt = TaxStatement(NoTax.EXEMPT, 50, 0, lines={free.id: 0})
    right = replace(first, subtotal=Money(100, "USD"), tax=Money(10, "USD"))
    # 0.50 of each line; 19 % of the first are 9.5 -> 10.
    assert sums_of(right, [line, free], [vat, exempt]) == ()
    # A reason that was given for what a rate had been taken of.
    assert sums_of(right, [line, free], [replace(exempt, lines={line.id: 10}), exempt]) == (
        Difference("tax_minor", "10", "0"),
        Difference("tax_of_lines_minor", "10", "0"),
    )


def test_a_running_total_of_which_no_event_is_left_is_found() -> None:
    [one] = requests("fra")
    digest = digest_of(CUSTOMER, one.event)
    hours = [replace(examples.total(REQUESTS, "1", {"region": "fra"}), digest=digest)]
    rules = rules_of(examples.catalogue(PER_REQUEST), BOOK, "f")
    recount = Recount(CUSTOMER, rules, [PER_REQUEST], {}, hours=hours)
    recount.add(one)
    # The hours were put right, and so is the combination of fra; of iad the running total alone is left.
    kept = [Combination({"region": region}, Decimal(1), 1) for region in ("fra", "iad")]
    running = {REQUESTS.id: MeterUsage(REQUESTS.id, Decimal(2), 2, kept)}
    checks = check_totals(SEGMENT.id, recount, running, droppable=False)
    assert [(check.dimensions, check.differences) for check in checks] == [
        ({}, (Difference("total.quantity", "2", "1"), Difference("total.events", "2", "1"))),
        ({"region": "iad"}, (Difference("total.quantity", "1", "0"), Difference("total.events", "1", "0"))),
    ]


def test_a_verification_is_different_where_anything_is() -> None:
    first = invoice()
    assert Verification(first, (), (), (), 0).outcome is Outcome.EQUAL
    assert Verification(first, (), (), (Difference("tax_minor", "1", "0"),), 0).outcome is Outcome.DIFFERENT


def test_only_a_segment_older_than_the_oldest_kept_month_may_be_archived() -> None:
    # The id's first 48 bits are 1 February 2026, 00:30: an event may have come in up to an hour before.
    opened = SegmentId(UUID(int=int(make.at("2026-02-01T00:30").timestamp()) * 1000 << 80))
    assert may_be_archived(opened, make.at("2026-02-01"))
    assert not may_be_archived(opened, make.at("2026-01-31T23:00"))
    assert not may_be_archived(opened, None)


_PARTS = [
    replace(SEGMENT, id=SegmentId(make.new_id()), during=during)
    for during in (
        replace(SEGMENT.during, end=make.at("2026-01-02T00:02")),
        replace(SEGMENT.during, start=make.at("2026-01-02T00:02")),
    )
]


def counted_in(*parts: tuple[CountedEvent, ...], bounds: tuple[dict[Charged, Bound], ...] = ({}, {})) -> Recounted:
    """Count the events of two segments that are rated together."""
    own = zip(_PARTS, parts, bounds, strict=True)
    return Recounted({segment.id: recounted(*events, bounds=bound) for segment, events, bound in own})


def rated(recount: Recounted, *, whole: bool = False) -> list[WantedLine]:
    """Rate two segments together: what the lines counted, or all of it."""
    parts = {
        segment_id: each.whole_totals if whole else each.billed_totals for segment_id, each in recount.recounts.items()
    }
    totals = recount.whole_totals if whole else recount.billed_totals
    return rating.usage_lines(usage_of(SUBSCRIPTION, _PARTS, parts, totals), CATALOGUE)


def test_a_line_over_two_segments_is_recomputed_from_what_it_had_counted_in_each() -> None:
    first = invoice()
    [line] = billed(first, *rated(counted_in((call(1),), (call(2), call(3))), whole=True))
    assert line.amount.minor == 150
    assert segment_ids_of(line) == [segment.id for segment in _PARTS]
    assert segment_ids_of(replace(line, derivation={})) == [_PARTS[0].id]
    assert segment_ids_of(replace(line, identity=replace(line.identity, segment_id=None))) == []
    chains = chains_of([line], first)
    bounds = tuple(bounds_of(chains, {DYNAMIC.id: COST.id}, segment.id) for segment in _PARTS)
    [charged] = bounds[0]
    assert [bound[charged][0] for bound in bounds] == [1, 2]
    # A later event in the first segment, and one taken back in the second.
    later = counted_in((call(1), call(4)), (call(2), call(3)), bounds=bounds)
    later.recounts[_PARTS[1].id].add(Counting(-1, call(3)))
    assert later.is_late(charged)
    assert later.is_found(charged)
    assert differences_of([line], rated(later)[0]) == ()
    # What is moved from one segment to the other is found, though all amounts are the same.
    moved = counted_in((call(1), call(2)), (call(3),), bounds=bounds)
    assert not moved.is_found(charged)
    assert "derivation.segments" in [each.field for each in differences_of([line], rated(moved)[0])]


def test_a_line_that_says_nothing_of_a_segment_counted_nothing_in_it() -> None:
    first = invoice()
    [line] = billed(first, *all_of(call(1)))
    chains, meters = chains_of([line], first), {DYNAMIC.id: COST.id}
    stranger = SegmentId(make.new_id())
    assert bounds_of(chains, meters, stranger) == {}
    parts = [{"segment_id": encode("segment", SEGMENT.id), "events": 1, "digest": "1"}]
    said = replace(line, derivation={**line.derivation, "segments": parts})
    assert bounds_of(chains_of([said], first), meters, stranger) == {}
    assert list(bounds_of(chains_of([said], first), meters, SEGMENT.id).values()) == [(1, 1)]
    spoiled = replace(line, derivation={**line.derivation, "segments": "none"})
    assert bounds_of(chains_of([spoiled], first), meters, SEGMENT.id) == bounds_of(chains, meters, SEGMENT.id)
    assert counted_in((), ()).is_found((COST.id, "")) is False


def test_what_is_measured_over_several_segments_comes_from_where_it_is_stored() -> None:
    mean = examples.total(COST, "9", GEMINI, events=3)
    stored = [replace(mean, measured=Fraction(3), whole=Fraction(3))]
    parts = counted_in((call(1),), (call(2), call(3)))
    [total] = [each for each in replace(parts, together=stored).whole_totals if each.meter_id == COST.id]
    assert (total.amount, total.whole, total.events) == (Fraction(3), Fraction(3), 3)
    assert total.digest == sum(digest_of(CUSTOMER, call(number)) for number in (1, 2, 3)) % 2**256


def test_values_of_events_are_in_order_of_time_over_all_segments() -> None:
    amounts = replace(REQUESTS, aggregation="sum", value_properties=("size",))
    rules = replace(rules_of(examples.catalogue(PER_REQUEST), BOOK, "f"), meters={REQUESTS.id: amounts})
    first, second, third = (counting.event for counting in requests("eu", "us", "eu"))
    recounts = {}
    # The third came before the border was moved, and stays where it was counted.
    for segment, sent in zip(_PARTS, ((first, third), (second,)), strict=True):
        recounts[segment.id] = Recount(CUSTOMER, rules, [PER_REQUEST], {}, by_event=[REQUESTS.id])
        for event in sent:
            event.properties["size"] = int(event.event_id[1:])
            recounts[segment.id].add(Counting(1, event))
    assert Recounted(recounts).values == {REQUESTS.id: [Decimal(0), Decimal(1), Decimal(2)]}
