"""A customer is found by its address and changed through the API."""

from domain.kernel.ids import encode
from tests.api.graphql.site import Site

CHANGED = "... on CustomerChanged { customer { name email externalId } }"
BY_EMAIL = "query($e: String) { customers(email: $e) { nodes { id } } }"


async def test_an_owner_changes_its_address_and_staff_find_it_by_that(site: Site) -> None:
    ada = await site.world.customer(on="2026-04-01", card=None)
    own, token = encode("customer", ada.id), site.member(ada.id)
    done = await site.change("changeCustomer", CHANGED, token, customerId=own, name="Ada Ltd", email="it@ada.example")
    assert done["customer"] == {"name": "Ada Ltd", "email": "it@ada.example", "externalId": None}
    refused = await site.change("changeCustomer", CHANGED, token, customerId=own, externalId="crm-1")
    assert refused["code"] == "forbidden"
    done = await site.change("changeCustomer", CHANGED, site.staff(), customerId=own, externalId="crm-1")
    assert done["customer"]["externalId"] == "crm-1"
    found = await site.read(BY_EMAIL, site.staff(), e="IT@ada.example")
    assert found["customers"]["nodes"] == [{"id": own}]
    assert (await site.read(BY_EMAIL, site.staff(), e="nobody@ada.example"))["customers"]["nodes"] == []
