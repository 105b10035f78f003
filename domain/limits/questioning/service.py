"""Resolve estimates and names of reservations with the facts and functions that recording uses."""

from collections.abc import Mapping
from uuid import UUID

from domain.customers.customer import CustomerErased
from domain.customers.service import CustomerNotFound
from domain.db import DATABASE_ERRORS
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, encode
from domain.limits.asking import estimate_of, estimated
from domain.limits.request import EstimateRefused, LimitsUnavailable, NothingSubscribed, Place, Question, Wanted
from domain.limits.reservation import Name, ReservationNotFound, type_digest_of
from domain.usage.event import UsageEvent, read_event, read_properties
from domain.usage.facts import Rules, sender_of
from domain.usage.resolve import Request, Row, foresee
from domain.usage.snapshots.service import Snapshots
from domain.usage.verdict import Reason, Status, Verdict

_HOMELESS = {Reason.OUTSIDE_SUBSCRIPTION, Reason.UNKNOWN_SUBSCRIPTION}
_NOBODY = {Reason.UNKNOWN_CUSTOMER, Reason.CUSTOMER_MALFORMED}


class Questions:
    """One process's understanding of requests; it shares the snapshots of the recorder."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._rules: Rules | None = None
        self._types: Mapping[UUID, str] = {}

    async def question(self, call: Call, wanted: Wanted) -> Question:
        """Understand a request as it would be counted now.

        Raises KeyRecordsNothing, CustomerNotFound, CustomerErased, NothingSubscribed, EstimateRefused,
        LimitsUnavailable.
        """
        return self.at_once(call, wanted) or await self._looked_up(call, wanted)

    def at_once(self, call: Call, wanted: Wanted) -> Question | None:
        """Understand a request from what is remembered; None where that does not do, or where it is to be refused.

        Raises KeyRecordsNothing.
        """
        remembered = self._snapshots.remembered(wanted.customer, call.at)
        read = read_properties(wanted.properties)
        if remembered is None or read is None:
            return None
        properties, canonical = read
        rules, customer = remembered
        if wanted.type not in rules.types:
            return None
        # What is only asked is never written: nobody reads when it came in.
        request = Request(sender_of(call.principal, rules.products), rules, call.at, "", call)
        foreseen = foresee(wanted.type, properties, request, customer)
        if foreseen is None:
            return None
        own = foreseen.subscription
        estimate = estimated(wanted.type, properties, rules.types[wanted.type], foreseen.counted)
        return Question(Place(customer.id, own.id, own.epoch, call.at), estimate, request.sender.source, canonical)

    async def _looked_up(self, call: Call, wanted: Wanted) -> Question:
        """Understand a request by everything that recording would look at. Raises as `question`."""
        row = await self.row(
            call, UsageEvent("estimate", wanted.type, wanted.customer, properties=dict(wanted.properties))
        )
        if row.verdict.reason in _HOMELESS:
            raise NothingSubscribed
        if row.verdict.reason in _NOBODY:
            raise CustomerNotFound
        if row.verdict.status is not Status.COUNTED or row.place is None:
            raise _refused(row.verdict)
        return question_of(row)

    async def row(self, call: Call, event: UsageEvent) -> Row:
        """Resolve an event as recording would.

        Raises KeyRecordsNothing, CustomerNotFound, CustomerErased, EstimateRefused, LimitsUnavailable.
        """
        envelope = read_event(event)
        if isinstance(envelope, Verdict):
            raise refused_of(envelope)
        rules = await self._known_rules(call)
        request = Request(sender_of(call.principal, rules.products), rules, call.at, call.at.isoformat(), call)
        try:
            [resolved] = await self._snapshots.resolve(call, [(envelope, request)])
        except DATABASE_ERRORS as fault:
            raise LimitsUnavailable from fault
        if isinstance(resolved, Verdict):
            raise refused_of(resolved)
        return resolved

    async def owned_type(self, call: Call, name: Name) -> str:
        """Return the type of event of a reservation that the caller may know of. Raises ReservationNotFound."""
        rules = await self._known_rules(call)
        event_type = self._types.get(name.type_digest)
        sender = sender_of(call.principal, rules.products)
        try:
            found = await self._snapshots.customers({encode("customer", name.customer_id)})
        except DATABASE_ERRORS as fault:
            raise LimitsUnavailable from fault
        customer = found.get(encode("customer", name.customer_id))
        if event_type is None or customer is None or not sender.sees(customer):
            raise ReservationNotFound
        if rules.types[event_type].product_id != sender.product_id:
            raise ReservationNotFound
        return event_type

    async def is_priced(self, call: Call, event_type: str) -> bool:
        """Whether events of a type cost what their properties say. Raises LimitsUnavailable."""
        return (await self._known_rules(call)).types[event_type].is_priced

    async def forget(self, customer_id: CustomerId) -> None:
        """Read a customer's facts anew, because those remembered are old."""
        await self._snapshots.reload({customer_id})

    async def _known_rules(self, call: Call) -> Rules:
        """Return the catalogue; while the database is out of reach, the one that was read last."""
        try:
            rules = await self._snapshots.rules(call.at)
        except DATABASE_ERRORS as fault:
            if self._rules is None:
                raise LimitsUnavailable from fault
            return self._rules
        if rules is not self._rules:
            self._rules = rules
            self._types = {type_digest_of(event_type): event_type for event_type in rules.types}
        return rules


def question_of(row: Row) -> Question:
    """Arrange a row that would be counted as a question."""
    assert row.place is not None, "what would be counted has a place"
    own = row.place.subscription
    place = Place(row.customer_id, own.id, own.epoch, row.now)
    return Question(place, estimate_of(row), row.request.sender.source, row.envelope.canonical)


def refused_of(verdict: Verdict) -> CustomerNotFound | CustomerErased | EstimateRefused:
    """Return with what a request is refused whose event would not be counted."""
    if verdict.reason is Reason.CUSTOMER_ERASED:
        return CustomerErased()
    return CustomerNotFound() if verdict.reason in _NOBODY else _refused(verdict)


def _refused(verdict: Verdict) -> EstimateRefused:
    return EstimateRefused((verdict.message or "it would not be counted").rstrip("."))
