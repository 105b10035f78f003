"""Write policies down, activate them, and choose whom they are followed for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from domain.access.roles import Permission
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.dunning.definition import (
    DEFAULT,
    PolicyState,
    PolicyVersion,
    check_name,
    read_policy,
    write_policy,
)
from domain.dunning.policies import store
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import NOBODY, CustomerId, PlanId, PolicyId, SubscriptionId, encode
from domain.kernel.values import dataclass
from domain.plans import service as plans
from domain.plans.plan import Catalogue
from domain.subscriptions.subscription import Subscription

POLICIES_MAX = 500
LOOKUP_MAX = 1_000


@dataclass(eq=False)
class DunningPolicyNotFound(DomainError):
    """There is no such dunning policy. See the list of policies; an assignment needs one with an active version."""

    code = "dunning_policy_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class DunningPolicyInForce(DomainError):
    """This version of the policy is {state} and changes no more. Write a new version."""

    code = "dunning_policy_in_force"
    kind = Kind.CONFLICT
    state: str


class DunningAssignmentMalformed(DomainError):
    """A policy is assigned to a customer or to a plan: name exactly one of them, and a plan by product and key."""

    code = "dunning_assignment_malformed"
    kind = Kind.INVALID


async def draft_policy(tx: Tx, call: Call, *, name: str, rules: Mapping[str, Any]) -> PolicyVersion:
    """Write a new version of a policy as a draft: nobody follows it yet.

    Raises Forbidden, DunningPolicyMalformed.
    """
    _need_all(call)
    versions = await store.lock_versions(tx, check_name(name))
    new = PolicyVersion(
        id=PolicyId(call.new_id()),
        name=name,
        number=versions[0].number + 1 if versions else 1,
        state=PolicyState.DRAFT,
        policy=read_policy(rules),
        created_at=call.at,
        activated_at=None,
    )
    await store.insert_policy(tx, new)
    await _audit(tx, call, "draft_dunning_policy", new)
    return new


async def activate_policy(tx: Tx, call: Call, policy_id: PolicyId) -> PolicyVersion:
    """Let new cases follow a draft, in place of the version active before. Cases that are open keep theirs.

    Safe to repeat. Raises Forbidden, DunningPolicyNotFound, and DunningPolicyInForce for a retired version.
    """
    _need_all(call)
    found = (await store.policies_by_id(tx, [policy_id])).get(policy_id)
    if found is None:
        raise DunningPolicyNotFound
    versions = await store.lock_versions(tx, found.name)
    before = next(each for each in versions if each.id == policy_id)
    if before.state is PolicyState.ACTIVE:
        return before
    if before.state is PolicyState.RETIRED:
        raise DunningPolicyInForce(before.state)
    for each in versions:
        if each.state is PolicyState.ACTIVE:
            await store.save_policy_state(tx, each, replace(each, state=PolicyState.RETIRED))
    after = replace(before, state=PolicyState.ACTIVE, activated_at=call.at)
    await store.save_policy_state(tx, before, after)
    await _audit(tx, call, "activate_dunning_policy", after)
    return after


async def assign_policy(
    tx: Tx, call: Call, *, name: str | None, customer_id: CustomerId | None = None, plan: tuple[str, str] | None = None
) -> None:
    """Let new cases of one customer, or of a plan (product and plan keys), follow a policy; None: no longer.

    A customer's own policy goes before that of its plan. Safe to repeat. Raises Forbidden, CustomerNotFound,
    CustomerErased, ProductNotFound, PlanNotFound, DunningPolicyNotFound, DunningAssignmentMalformed.
    """
    _need_all(call)
    if (customer_id is None) == (plan is None):
        raise DunningAssignmentMalformed
    plan_id = (await plans.load_catalogue(tx)).plan(*plan).id if plan is not None else None
    if customer_id is not None:
        await erasing.load_present(tx, call, customer_id)
    if name is None:
        await store.delete_assignment(tx, customer_id=customer_id, plan_id=plan_id)
    elif name not in await store.list_active(tx, [name]):
        raise DunningPolicyNotFound
    else:
        await store.save_assignment(tx, customer_id=customer_id, plan_id=plan_id, name=name, at=call.at)
    about = encode("customer", customer_id) if customer_id else encode("plan", plan_id or store.NO_PLAN)
    owner = customer_id or NOBODY
    await journal.audit(tx, call, "assign_dunning_policy", about, customer_id=owner, facts={"policy": name})


async def list_policies(tx: Tx, call: Call) -> Sequence[PolicyVersion]:
    """Return all versions by name, the newest first, at most POLICIES_MAX. Raises Forbidden."""
    _need_all(call)
    return await store.list_policies(tx, limit=POLICIES_MAX)


async def policies_by_id(tx: Tx, ids: Collection[PolicyId]) -> dict[PolicyId, PolicyVersion]:
    """Return versions by id: one statement, for loaders and for those who follow a case."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.policies_by_id(tx, ids)


async def policies_for(
    tx: Tx, catalogue: Catalogue, customer_id: CustomerId, on_it: Sequence[Subscription]
) -> tuple[PolicyVersion, dict[SubscriptionId, PolicyVersion]]:
    """Return the policy that retries of an invoice follow, and the one of each subscription's access.

    Retries follow the strictest of them: the one that is over first, and of those the one that asks least often.
    """
    plan_of = {each.id: catalogue.plan_of_version(each.plan_version_id).id for each in on_it}
    assigned = await store.list_assignments(tx, customer_id, set(plan_of.values()))
    active = await store.list_active(tx, {DEFAULT, *assigned.values()})
    default = active[DEFAULT]

    def followed(plan_id: PlanId | None) -> PolicyVersion:
        name = assigned.get(None) or assigned.get(plan_id) or DEFAULT
        return active.get(name, default)

    own = {subscription_id: followed(plan_id) for subscription_id, plan_id in plan_of.items()}
    strictest = min(own.values(), key=_strictness, default=followed(None))
    return strictest, own


def _strictness(version: PolicyVersion) -> tuple[int, int]:
    days = version.policy.retry_days
    return sum(days), len(days)


def _need_all(call: Call) -> None:
    """Refuse whoever is bound to one customer or to one environment: a policy is everybody's."""
    call.need(Permission.DUNNING_WRITE)
    if call.scope is not None or call.principal.environment is not None:
        raise Forbidden(Permission.DUNNING_WRITE)


async def _audit(tx: Tx, call: Call, action: str, version: PolicyVersion) -> None:
    facts = {"name": version.name, "number": version.number, "rules": write_policy(version.policy)}
    await journal.audit(tx, call, action, encode("dunning_policy", version.id), facts=facts)
