"""What the page offers to do with a document, and how its forms become requests to the control endpoints."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.behaviours import CHARGES
from sandbox.call import ROUTES
from sandbox.cash import NETWORKS
from sandbox.disputes import LATE_RETURNS, OPEN, REASONS
from sandbox.errors import malformed
from sandbox.refunds import FAILURES
from sandbox.store import Document, Store

DELIVERY_SWITCHES = ("duplicate", "reorder", "hold")
NUMBER_LENGTH_MAX = 15
YES, NO = "true", "false"


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a form: one of `choices`, or a number (`int`, `float`) where there are none."""

    name: str
    label: str
    choices: tuple[str, ...] = ()
    kind: str = "str"
    value: str = ""

    def read(self, given: str) -> Any:
        """Turn what was typed into JSON. Raises StripeError for what is no number."""
        if self.kind == "bool":
            return given == YES
        if self.kind != "str" and len(given) > NUMBER_LENGTH_MAX:
            raise malformed(f"{self.label} can be at most {NUMBER_LENGTH_MAX} characters long.", param=self.name)
        try:
            return {"int": int, "float": float, "str": str}[self.kind](given)
        except ValueError as error:
            raise malformed(f"{self.label} must be a number.", param=self.name) from error


@dataclass(frozen=True, slots=True)
class Action:
    """A form: `path` is the control endpoint that it posts to, `{}` stands for the document; `fixed` is always sent."""

    name: str
    label: str
    path: str
    fields: tuple[Field, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()
    hint: str = ""

    def body(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Make the control request's JSON of what a form sent; what was left empty is not sent."""
        read = {field.name: field.read(given[field.name]) for field in self.fields if given.get(field.name)}
        return dict(self.fixed) | read


def _choice(name: str, label: str, choices: Any, value: str = "") -> Field:
    return Field(name, label, tuple(sorted(choices)), value=value)


_DISPUTE = Action(
    "dispute",
    "Dispute this charge",
    "disputes/{}",
    (_choice("reason", "Reason", REASONS, "fraudulent"), Field("amount", "Amount in minor units", kind="int")),
    hint="The money is withdrawn at once. Without an amount the whole charge is disputed.",
)
_RETURN = Action(
    "return",
    "Return this debit late",
    "returns/{}",
    (_choice("reason", "Reason", LATE_RETURNS, "insufficient_funds"),),
    hint="The bank takes back a debit that had succeeded: a dispute that is lost from the start.",
)
_SETTLE = (
    Action("settle", "Let the debit succeed", "ach/{}", fixed=(("result", "succeed"),)),
    Action("fail", "Return the debit (ACH return)", "ach/{}", fixed=(("result", "fail"),)),
)
_AUTHENTICATE = (
    Action("confirm", "Confirm as the customer", "authenticate/{}", fixed=(("result", "succeed"),)),
    Action("abandon", "Fail the confirmation", "authenticate/{}", fixed=(("result", "fail"),)),
)
_VERDICTS = (
    Action("win", "Win this dispute", "verdicts/{}", fixed=(("result", "won"),)),
    Action("lose", "Lose this dispute", "verdicts/{}", fixed=(("result", "lost"),)),
)
_TRANSFER = Action(
    "transfer",
    "Receive a bank transfer",
    "bank_transfers/{}",
    (
        _choice("network", "Network", NETWORKS, "domestic_wire_us"),
        Field("amount", "Amount in minor units", kind="int"),
    ),
    hint="Without an amount the customer has sent what remains of this invoice; less stays on its cash balance.",
)
_SETTLE_REFUND = Action("settle-refund", "Let the refund succeed", "refunds/{}", fixed=(("result", "succeed"),))
_FAIL_REFUND = Action(
    "fail-refund",
    "Let the refund fail",
    "refunds/{}",
    (_choice("reason", "Reason", FAILURES, "declined"),),
    (("result", "fail"),),
)


def offered(store: Store, document: Document) -> tuple[Action, ...]:
    """Give what can be done with a document in its present state."""
    kind, status = document["object"], document.get("status")
    if kind == "payment_method":
        return _of_method(document)
    if kind == "payment_intent":
        charge = store.find(document["latest_charge"] or "")
        return {"processing": _SETTLE, "requires_action": _AUTHENTICATE}.get(
            document["status"], _of_charge(charge) if charge else ()
        )
    if kind == "charge":
        return _of_charge(document)
    if kind == "refund":
        return {"pending": (_SETTLE_REFUND, _FAIL_REFUND), "succeeded": (_FAIL_REFUND,)}.get(str(status), ())
    known = {
        ("setup_intent", "requires_action"): _AUTHENTICATE,
        ("invoice", "open"): (_TRANSFER,),
        ("invoice", "uncollectible"): (_TRANSFER,),
    } | {("dispute", each): _VERDICTS for each in OPEN}
    return known.get((kind, str(status)), ())


def _of_method(method: Document) -> tuple[Action, ...]:
    if method["type"] not in CHARGES:
        return ()
    behaviour = _choice("behaviour", "The next charge", CHARGES[method["type"]], method["_charge"])
    hint = (
        "Holds for every charge until it is changed. The words are decline codes; a bank debit fails when it settles."
    )
    return (Action("behave", "Set what a charge does", "payment_methods/{}", (behaviour,), hint=hint),)


def _of_charge(charge: Document) -> tuple[Action, ...]:
    if charge["status"] != "succeeded" or charge["disputed"]:
        return ()
    return {"card": (_DISPUTE,), "us_bank_account": (_RETURN, _DISPUTE)}.get(
        charge["payment_method_details"]["type"], ()
    )


def general() -> tuple[Action, ...]:
    """Give what concerns no document: faults, deliveries and the settling of debits."""
    operations = {f"{verb.upper()} {path}" for verb, path in ROUTES}
    switches = tuple(Field(name, name.capitalize(), (NO, YES), "bool") for name in DELIVERY_SWITCHES)
    fault = (
        Field("kind", "Fault", ("drop", "error", "delay")),
        _choice("operation", "Operation", {"", *operations}),
        Field("when", "Moment", ("before", "after")),
        Field("status", "Status", kind="int", value="500"),
        Field("seconds", "Seconds of delay", kind="float", value="0"),
        Field("times", "Times", kind="int", value="1"),
    )
    return (
        Action(
            "fault", "Order a fault", "faults", fault, hint="Without an operation the next requests of any kind fail."
        ),
        Action(
            "deliveries",
            "Shape deliveries",
            "deliveries",
            (*switches, Field("delay_ms", "Delay in ms", kind="int", value="0")),
        ),
        Action(
            "debits",
            "Settle debits by themselves",
            "ach",
            (Field("settle_after_s", "After seconds", kind="float", value="3"),),
        ),
    )


def find(store: Store, name: str, document: Document | None) -> Action | None:
    """Find an action by its name among those that are offered now."""
    known = general() if document is None else offered(store, document)
    return next((action for action in known if action.name == name), None)
