"""Dunning policies: written as drafts, simulated, activated, and assigned to plans and customers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing, reading
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.dunning import definition, simulation
from domain.dunning.cap import Cap
from domain.dunning.definition import PolicyState, read_policy
from domain.dunning.policies import service
from domain.dunning.policy import AfterLast, Mail
from domain.dunning.simulation import Failed, Happening

name_enum(
    AfterLast,
    "DunningEnd",
    "What becomes of a subscription whose invoice was not paid to the last day.",
    UNPAID="It stays, unpaid and suspended, until the invoice is paid.",
    CANCEL="It ends at the first instant that was not paid for.",
    FALL_BACK="It ends like that, and the free plan follows.",
    WRITE_OFF="It ends like that, and the invoice is a bad debt.",
)
name_enum(
    Mail,
    "DunningMail",
    "What a customer is written about on the way.",
    PAYMENT_FAILED="The first failure, or that a payment waits to be confirmed.",
    RETRY_FAILED="Another failure.",
    ACCESS_RESTRICTED="Access is restricted, where no attempt is made at that instant.",
    LAST_NOTICE="The last day comes near.",
    ENDED="The last day has passed.",
)
name_enum(
    PolicyState,
    "DunningPolicyState",
    "Whether new cases follow a version.",
    DRAFT="Not yet.",
    ACTIVE="They do.",
    RETIRED="Not any more.",
)
name_enum(
    Happening,
    "DunningHappening",
    "What a line of a simulated calendar is about.",
    ATTEMPT="A payment attempt.",
    ACCESS="What checks of limits answer by.",
    MAIL="A mail.",
    END="The end of the case.",
)


@guarded_type(Permission.DUNNING_READ, "How often a card may be charged.")
class DunningCap:
    """A cap."""

    brand: str | None = strawberry.field(description="Of this network only, in lower case; null: of all.")
    hours: int = strawberry.field(description="In any so many hours.")
    tries_max: int = strawberry.field(description="At most so many charges.")
    automatic: bool = strawberry.field(description="Whether it bounds only what nobody asked for.")


@guarded_type(Permission.DUNNING_READ, "One version of a policy; it never changes once it was active.")
class DunningPolicy:
    """A version."""

    id: strawberry.ID = strawberry.field(description="`dpl_…`")
    name: str = strawberry.field(description="What its versions have in common.")
    number: int = strawberry.field(description="Counts the versions of a name.")
    state: PolicyState = strawberry.field(description="Whether new cases follow it.")
    retry_days: list[int] = strawberry.field(description="Days of elapsed time, each after the attempt before.")
    grace_days: int = strawberry.field(description="Days from the first failure in which nothing is taken away.")
    debit_retries_max: int = strawberry.field(description="Retries of a bank debit, for insufficient funds only.")
    local_hour: int | None = strawberry.field(description="Moves a retry to this hour of its own date, 0 to 23.")
    after_last: AfterLast = strawberry.field(description="What becomes of the subscription after the last day.")
    last_notice_days: int | None = strawberry.field(description="How many days before the last one is warned.")
    mails: list[Mail] = strawberry.field(description="The mails that are sent.")
    caps: list[DunningCap] = strawberry.field(description="How often a card may be charged.")
    due_reminder_days: list[int] = strawberry.field(
        description="How many days before its due date an invoice that was sent, and not charged, is reminded of."
    )
    overdue_reminder_days: list[int] = strawberry.field(description="Likewise after it.")


@guarded_type(Permission.DUNNING_READ, "A line of a simulated calendar.")
class DunningEvent:
    """Something that would happen."""

    at: datetime = strawberry.field(description="When.")
    what: Happening = strawberry.field(description="What it is about.")
    about: str = strawberry.field(description="The decline or `paid`, the access state, the mail, or the end.")


@guarded_type(Permission.DUNNING_WRITE, "The policy was changed, or stood so already.")
class DunningPolicyChanged:
    """Success of draftDunningPolicy and activateDunningPolicy."""

    policy: DunningPolicy = strawberry.field(description="As it now stands.")


@guarded_type(Permission.DUNNING_WRITE, "New cases follow the policy.")
class DunningPolicyAssigned:
    """Success of assignDunningPolicy."""

    name: str | None = strawberry.field(description="The policy; null: what holds without an assignment.")


@strawberry.input(description="How often a card may be charged.")
class DunningCapInput:
    """A cap."""

    brand: str | None = strawberry.field(description="Of this network only; null: of all.", default=None)
    hours: int = strawberry.field(description="In any so many hours, 1 to 1440.")
    tries_max: int = strawberry.field(description="At most so many charges, 1 to 100.")
    automatic: bool = strawberry.field(description="Only what nobody asked for.", default=False)


@strawberry.input(description="The rules of a policy; what is not said is as in the default policy.")
class DunningRulesInput:
    """Rules."""

    retry_days: list[int] | None = strawberry.field(description="At most 10, each 1 to 60.", default=None)
    grace_days: int | None = strawberry.field(description="0 to 90.", default=None)
    debit_retries_max: int | None = strawberry.field(description="0 to 2.", default=None)
    local_hour: int | None = strawberry.field(description="0 to 23; null: a retry stays where it is.", default=None)
    after_last: AfterLast | None = strawberry.field(description="What follows the last day.", default=None)
    last_notice_days: int | None = strawberry.field(description="1 to 60.", default=None)
    mails: list[Mail] | None = strawberry.field(description="The mails that are sent.", default=None)
    caps: list[DunningCapInput] | None = strawberry.field(description="At most 20.", default=None)
    due_reminder_days: list[int] | None = strawberry.field(
        description="Days before the due date of a sent invoice, at most 10, each 1 to 60; none: no reminder.",
        default=None,
    )
    overdue_reminder_days: list[int] | None = strawberry.field(description="Likewise after it.", default=None)


@strawberry.input(description="A new version of a policy.")
class DraftDunningPolicyInput:
    """Input of draftDunningPolicy."""

    name: str = strawberry.field(description="1 to 60 characters; `default` is followed without an assignment.")
    rules: DunningRulesInput = strawberry.field(description="Its rules.")


@strawberry.input(description="Which version to activate.")
class ActivateDunningPolicyInput:
    """Input of activateDunningPolicy."""

    id: strawberry.ID = strawberry.field(description="`dpl_…`")


@strawberry.input(description="Who follows which policy. Name a customer, or a product and its plan.")
class AssignDunningPolicyInput:
    """Input of assignDunningPolicy."""

    name: str | None = strawberry.field(description="The policy; null: no longer.")
    customer_id: strawberry.ID | None = strawberry.field(description="`cus_…`", default=None)
    product: str | None = strawberry.field(description="The product's key.", default=None)
    plan: str | None = strawberry.field(description="The plan's key.", default=None)


DraftDunningPolicyResult = Annotated[
    DunningPolicyChanged | AnyProblem,
    strawberry.union("DraftDunningPolicyResult", description="What became of draftDunningPolicy."),
]
ActivateDunningPolicyResult = Annotated[
    DunningPolicyChanged | AnyProblem,
    strawberry.union("ActivateDunningPolicyResult", description="What became of activateDunningPolicy."),
]
AssignDunningPolicyResult = Annotated[
    DunningPolicyAssigned | AnyProblem,
    strawberry.union("AssignDunningPolicyResult", description="What became of assignDunningPolicy."),
]


def policy_of(value: definition.PolicyVersion) -> DunningPolicy:
    """Wrap a version."""
    policy = value.policy
    return DunningPolicy(
        id=ids.id_of("dunning_policy", value.id),
        name=value.name,
        number=value.number,
        state=value.state,
        retry_days=list(policy.retry_days),
        grace_days=policy.grace_days,
        debit_retries_max=policy.debit_retries_max,
        local_hour=policy.local_hour,
        after_last=policy.after_last,
        last_notice_days=policy.last_notice_days,
        mails=sorted(policy.mails),
        caps=[_cap_of(each) for each in policy.caps],
        due_reminder_days=list(policy.due_reminder_days),
        overdue_reminder_days=list(policy.overdue_reminder_days),
    )


def _cap_of(value: Cap) -> DunningCap:
    return DunningCap(brand=value.brand, hours=value.hours, tries_max=value.tries_max, automatic=value.automatic)


def _rules_of(given: DunningRulesInput) -> dict[str, Any]:
    """Return the rules that an input states."""
    return {name: value for name, value in strawberry.asdict(given).items() if value is not None}


@strawberry.type
class DunningPolicyQuery:
    """Queries of policies."""

    @reading(Permission.DUNNING_WRITE, "All versions of all policies, by name, the newest first, at most 500.")
    async def dunning_policies(self, info: Info[Context, None]) -> list[DunningPolicy]:
        """List them."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.list_policies(tx, info.context.call)
        return [policy_of(each) for each in found]

    @reading(Permission.DUNNING_READ, "What rules would do about a payment that fails. Nothing is written.")
    async def simulate_dunning(
        self,
        info: Info[Context, None],
        rules: Annotated[DunningRulesInput, strawberry.argument(description="The rules.")],
        *,
        failed_at: Annotated[datetime, strawberry.argument(description="When the payment fails first.")],
        outcomes: Annotated[
            list[str],
            strawberry.argument(
                description="How its attempts end, the last for all that follow: codes of declines, or `paid`; 1 to 20."
            ),
        ],
        method_kind: Annotated[str, strawberry.argument(description="card, or us_bank_account.")] = "card",
        zone: Annotated[str, strawberry.argument(description="The customer's zone, of the IANA database.")] = "UTC",
    ) -> list[DunningEvent]:
        """Simulate it."""
        del info
        failed = Failed(failed_at, outcomes, method_kind, zone)
        return [_event_of(each) for each in _simulated(_rules_of(rules), failed)]


def _simulated(rules: dict[str, Any], failed: Failed) -> Sequence[simulation.Happens]:
    return simulation.simulate(read_policy(rules), failed)


def _event_of(value: simulation.Happens) -> DunningEvent:
    return DunningEvent(at=value.at, what=value.what, about=value.about)


@strawberry.type
class DunningPolicyMutation:
    """Changes of policies."""

    @changing(Permission.DUNNING_WRITE, "Write a new version of a policy down, as a draft; simulate it first.")
    async def draft_dunning_policy(
        self,
        info: Info[Context, None],
        input: Annotated[DraftDunningPolicyInput, strawberry.argument(description="Its name and rules.")],
    ) -> DraftDunningPolicyResult:
        """Write it."""
        async with info.context.runtime.db.transaction() as tx:
            made = await service.draft_policy(tx, info.context.call, name=input.name, rules=_rules_of(input.rules))
        return DunningPolicyChanged(policy=policy_of(made))

    @changing(
        Permission.DUNNING_WRITE,
        "Let new cases follow a version, in place of the one before; open cases keep theirs. Safe to repeat.",
    )
    async def activate_dunning_policy(
        self,
        info: Info[Context, None],
        input: Annotated[ActivateDunningPolicyInput, strawberry.argument(description="Which one.")],
    ) -> ActivateDunningPolicyResult:
        """Activate it."""
        policy_id = ids.dunning_policy_id(input.id)
        async with info.context.runtime.db.transaction() as tx:
            after = await service.activate_policy(tx, info.context.call, policy_id)
        return DunningPolicyChanged(policy=policy_of(after))

    @changing(
        Permission.DUNNING_WRITE,
        "Let new cases of a customer, or of a plan, follow a policy; a customer's own goes first. Safe to repeat.",
    )
    async def assign_dunning_policy(
        self,
        info: Info[Context, None],
        input: Annotated[AssignDunningPolicyInput, strawberry.argument(description="Whom, and to which one.")],
    ) -> AssignDunningPolicyResult:
        """Assign it."""
        customer_id = ids.customer_id(input.customer_id) if input.customer_id is not None else None
        plan = (input.product, input.plan) if input.product is not None and input.plan is not None else None
        async with info.context.runtime.db.transaction() as tx:
            await service.assign_policy(tx, info.context.call, name=input.name, customer_id=customer_id, plan=plan)
        return DunningPolicyAssigned(name=input.name)
