"""What is answered from memory is what the database would say, or nothing."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from msgspec import structs

from domain.kernel.call import Environment, Forbidden
from domain.limits.account import FORMS_MAX
from domain.limits.request import Wanted
from domain.usage.event import TEXT_LENGTH_MAX
from domain.usage.verdict import KeyRecordsNothing
from tests.domain.limits.examples import account, line, one
from tests.domain.limits.office import Office, call_of, edge_of, key

# What a call of a model may say, in every form that recording reads by itself.
CALLS: tuple[dict[str, Any], ...] = (
    {},
    {"input_tokens": 0, "output_tokens": 0},
    {"input_tokens": Decimal("1.50")},
    {"provider": "Google", "model": "models/gemini-2.5-pro"},
    {"provider": "nobody", "model": "unheard-of"},
    {"endpoint": "chat", "cached_tokens": 7, "extra": True, "none": None},
    {"model": 5, "status": "ok"},
)
# What recording would not count.
FAULTS: tuple[dict[str, Any], ...] = (
    {"input_tokens": -1},
    {"input_tokens": "many"},
    {"input_tokens": 10**20},
    {"input_tokens": True},
    {"note": "a\0"},
    {"note": "x" * (TEXT_LENGTH_MAX + 1)},
    {"note": [1]},
    {f"p{place}": place for place in range(33)},
)


async def test_what_is_foreseen_is_what_recording_would_count(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    zoe, _ = await office.subscriber("free", "edge")
    questions = (await office.process()).reserver.memory.questions
    edge = (("edge.module", {"delta": 1}), ("edge.module", {"delta": -1}), ("edge.build", {"minutes": Decimal("2.5")}))
    asked = [(key(), call_of(ada, **properties)) for properties in CALLS]
    asked += [(key("edge"), edge_of(zoe, event_type, **properties)) for event_type, properties in edge]
    for principal, wanted in asked:
        call = office.call(principal)
        # The first question loads what is remembered, and the second is answered from it.
        await questions.question(call, wanted)
        found = questions.at_once(call, wanted)
        assert found is not None, wanted
        looked_up = await questions._looked_up(call, wanted)
        assert found == looked_up
        assert found.estimate.additions


async def test_nothing_is_said_from_memory_about_what_recording_would_not_count(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    memory = (await office.process()).reserver.memory
    call = office.call()
    assert memory.questions.at_once(call, call_of(ada)) is None, "nothing is remembered yet"
    await memory.questions.question(call, call_of(ada))
    assert memory.questions.at_once(call, call_of(ada)) is not None
    own = call_of(ada)
    wanted = [call_of(ada, **properties) for properties in FAULTS]
    wanted += [Wanted(own.customer, "no.such.type", {}), Wanted("cus_nobody", own.type, own.properties)]
    for each in wanted:
        assert memory.check(call, each) is None, each
        assert memory.reserve(call, each, "r1", expires_in_s=60) is None, each
    for other in (key("edge"), key(environment=Environment.TEST), key(customer_id=(await office.subscriber())[0].id)):
        assert memory.questions.at_once(office.call(other), own) is None
    # After a second the catalogue is looked at again before anything is said by it.
    office.later(seconds=1)
    assert memory.questions.at_once(office.call(), own) is None
    assert len(memory.shelf) == 0


async def test_memory_asks_for_the_same_rights_as_everything_else(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    process = await office.process()
    await process.reserve(ada)
    memory, granted = process.reserver.memory, key()
    checking = replace(granted, permissions=frozenset({"limit:check"}))
    writing = replace(granted, permissions=frozenset({"usage:write"}))
    assert memory.check(office.call(checking), call_of(ada)) is not None
    with pytest.raises(Forbidden):
        memory.check(office.call(writing), call_of(ada))
    for principal in (checking, writing):
        with pytest.raises(Forbidden):
            memory.reserve(office.call(principal), call_of(ada), "r2", expires_in_s=60)
    with pytest.raises(KeyRecordsNothing):
        memory.check(office.call(replace(granted, product=None)), call_of(ada))
    assert process.reserver.count == 1


async def test_memory_holds_only_what_is_leased_and_never_refuses(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    process = await office.process()
    memory = process.reserver.memory
    call = office.call()
    await memory.questions.question(call, call_of(ada))
    # Nothing was read of the customer's limits, and nothing is leased.
    assert memory.check(call, call_of(ada)) is None
    assert memory.reserve(call, call_of(ada), "r1", expires_in_s=60) is None
    await process.reserve(ada, "r1")
    found = memory.reserve(call, call_of(ada), "r2", expires_in_s=60)
    assert found is not None
    assert found.reservation is not None
    # A call of Gemini, 1,100 tokens, and 0.00225 USD, as in the tests of answers.
    assert found.reservation.holds == {"gemini_calls": 1, "tokens": 1_100, "monthly_cost": Fraction("0.00225")}
    assert memory.reserve(call, call_of(ada, input_tokens=600_000), "r3", expires_in_s=60) is None
    assert process.reserver.count == 2


def test_an_account_remembers_a_bounded_number_of_forms() -> None:
    own = account(line("calls", 10, 0))
    for place in range(FORMS_MAX + 2):
        assert own.asks_of(structs.replace(one(1), form=(place.to_bytes(2, "big"),))) == {"calls": 1}
    assert len(own._fed) == 2
