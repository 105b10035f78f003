"""How an export goes on, and when its file can be fetched."""

from dataclasses import replace
from datetime import timedelta

from domain.kernel.ids import CustomerId
from domain.privacy import export as rules
from domain.privacy.export import Export, ExportState, Place
from domain.privacy.inventory import inventory
from tests import make

AT = make.at("2026-03-01")


def running(place: Place | None, lines: int = 0) -> Export:
    """Make an export that is under way."""
    return Export(CustomerId(make.new_id()), make.new_id(), ExportState.RUNNING, AT, "staff:ada", place, lines=lines)


def test_tables_are_read_in_the_order_of_the_inventory_from_who_it_is_to_what_happened() -> None:
    tables = rules.tables_of(inventory())
    assert tables[0] == "customer"
    assert {"usage_event", "invoice", "invoice_line", "document", "mail", "audit_entry", "billing_event"} <= set(tables)
    assert not {"data_key", "event_identity", "idempotency", "webhook_secret", "product"} & set(tables)
    assert rules.first_place(inventory()) == Place("customer")


def test_a_page_is_followed_by_the_rest_of_its_table_then_by_the_next_table_and_then_by_nothing() -> None:
    tables = rules.tables_of(inventory())
    assert rules.next_place(inventory(), Place("usage_event"), ("7",)) == Place("usage_event", ("7",))
    following = tables[tables.index("usage_event") + 1]
    assert rules.next_place(inventory(), Place("usage_event", ("7",)), None) == Place(following)
    assert rules.next_place(inventory(), Place(tables[-1]), None) is None


def test_files_are_read_a_few_at_a_time() -> None:
    assert rules.rows_of_page(inventory()["document"]) == 10
    assert rules.rows_of_page(inventory()["usage_event"]) == 1_000


def test_each_part_is_counted_and_the_last_one_makes_the_export_ready_for_seven_days() -> None:
    before = running(Place("customer"))
    after = rules.gone_on(before, Place("mail"), lines=3, size=120, at=AT)
    assert (after.state, after.place, after.parts, after.lines, after.bytes) == (
        ExportState.RUNNING,
        Place("mail"),
        1,
        3,
        120,
    )
    ended = rules.gone_on(after, None, lines=1, size=17, at=AT)
    assert (ended.state, ended.parts, ended.lines, ended.bytes) == (ExportState.READY, 2, 4, 137)
    assert (ended.ended_at, ended.expires_at) == (AT, make.at("2026-03-08"))


def test_one_with_too_many_lines_fails() -> None:
    before = running(Place("usage_event"), lines=1_999_999)
    # 1,999,999 and 1 are the most; one more is too many.
    assert rules.gone_on(before, Place("mail"), lines=1, size=1, at=AT).state is ExportState.RUNNING
    failed = rules.gone_on(before, Place("mail"), lines=2, size=1, at=AT)
    assert (failed.state, failed.ended_at, failed.expires_at) == (ExportState.FAILED, AT, None)


def test_a_file_is_open_while_it_is_ready_and_not_over() -> None:
    ready = rules.gone_on(running(Place("customer")), None, lines=1, size=1, at=AT)
    assert rules.is_open(ready, make.at("2026-03-08") - timedelta(microseconds=1))
    assert not rules.is_open(ready, make.at("2026-03-08"))
    assert not rules.is_open(replace(ready, state=ExportState.FAILED), AT)
    assert not rules.is_open(running(Place("customer")), AT)
