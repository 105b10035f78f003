"""Read and change billing profiles."""

from collections.abc import Collection

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.customers.profiles import profile as rules
from domain.customers.profiles import store
from domain.customers.profiles.profile import Address, Profile, TaxStatus
from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, encode

LOOKUP_MAX = 1_000


class ProfileChanged(DomainError):
    """Somebody else has just changed the billing profile. Look at it and try again."""

    code = "profile_changed"
    kind = Kind.CONFLICT


async def load_profile(tx: Tx, customer_id: CustomerId) -> Profile:
    """Return the profile of a customer that is known to exist, to a use case that has checked its own permission."""
    return (await store.profiles_by_id(tx, [customer_id]))[customer_id]


async def get_profile(tx: Tx, call: Call, customer_id: CustomerId) -> Profile:
    """Return a profile. Raises CustomerNotFound, Forbidden."""
    call.need(Permission.PROFILE_READ)
    await customers.load_customer(tx, call, customer_id)
    return await load_profile(tx, customer_id)


async def profiles_by_id(tx: Tx, ids: Collection[CustomerId]) -> dict[CustomerId, Profile]:
    """Return the profiles of at most LOOKUP_MAX customers that may be seen: one statement, for loaders."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.profiles_by_id(tx, ids)


async def change_profile(
    tx: Tx,
    call: Call,
    customer_id: CustomerId,
    *,
    address: Address,
    vat_number: str | None,
    locale: str | None = None,
) -> Profile:
    """Set a customer's address and VAT number; drafts are taxed by them when they are opened. Safe to repeat.

    `locale` is the language of documents and notices; without it that stays. Raises Forbidden, CustomerNotFound,
    CustomerErased, LocaleMalformed, what `profile.changed` raises, ProfileChanged.
    """
    call.need(Permission.PROFILE_WRITE)
    await customers.load_customer(tx, call, customer_id)
    await erasing.hold_present(tx, customer_id)
    if locale is not None:
        await customers.change_locale(tx, call, customer_id, locale)
    before = await load_profile(tx, customer_id)
    return await _save(tx, call, before, rules.changed(before, address, vat_number), "change_billing_profile")


async def set_tax_status(
    tx: Tx, call: Call, customer_id: CustomerId, *, status: TaxStatus, certificate: str | None = None
) -> Profile:
    """Say how a customer is taxed from now on. Safe to repeat.

    Raises Forbidden, CustomerNotFound, CustomerErased, CertificateMissing, VatNumberMissing, ProfileChanged.
    """
    call.need(Permission.TAX_WRITE)
    if call.scope is not None:
        raise Forbidden(Permission.TAX_WRITE)
    await customers.load_customer(tx, call, customer_id)
    await erasing.hold_present(tx, customer_id)
    before = await load_profile(tx, customer_id)
    return await _save(tx, call, before, rules.with_status(before, status, certificate), "set_tax_status")


async def _save(tx: Tx, call: Call, before: Profile, after: Profile, action: str) -> Profile:
    """Write what differs. The audit entry names what changed and repeats nothing personal."""
    if after == before:
        return before
    key = await customers.data_key(tx, after.customer_id)
    saved = await store.save_profile(tx, key, before, after)
    if saved is None:
        raise ProfileChanged
    facts = {
        "country": after.address.country,
        "region": after.address.region,
        "status": after.status,
        "has_vat_number": after.vat_number is not None,
    }
    about = encode("customer", after.customer_id)
    await journal.audit(tx, call, action, about, customer_id=after.customer_id, facts=facts)
    return saved
