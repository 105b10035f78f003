"""The demo: an API key, a customer with a card and a subscription, tokens, and the file that names them all.

Only in development. The file has mode 0600; its credentials are random for each home and signed anew at every start.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, field, fields
from datetime import datetime, timedelta
from pathlib import Path

from api.local.errors import LocalStackError
from api.local.home import Home, Secrets, write_private
from api.replay import documents
from api.replay.cast import CARD, CURRENCY
from api.replay.client import Client
from api.seed import operator
from domain.access import service as access
from domain.access.roles import Permission
from domain.access.tokens import AUDIENCE, LIFETIME_MAX, SECOND_FACTOR, sign_hs256
from domain.adapters import clock
from domain.config import Settings
from domain.kernel.values import dataclass

PRODUCT = "llm"
PLAN = "pro"
EXTERNAL_ID = "demo"
KEY_NAME = "demo"
SCOPES = (Permission.USAGE_WRITE, Permission.USAGE_READ, Permission.CATALOGUE_READ, Permission.LIMIT_CHECK)
# Tokens are minted at every start. They are valid a little less than the longest life that is accepted.
TOKEN_LIFETIME = LIFETIME_MAX - timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Demo:
    """What the file says: where everything is, and credentials for each kind of caller."""

    api_url: str
    graphql_url: str
    ws_url: str
    sandbox_url: str | None
    sandbox_key: str | None = field(repr=False)
    mail_url: str | None
    api_key: str = field(repr=False)
    staff_token: str = field(repr=False)
    customer_id: str
    customer_token: str = field(repr=False)


async def ensure_key(settings: Settings, secret: str) -> None:
    """Store the demo key's hash. Safe to repeat."""
    async with operator(settings) as (tx, call):
        await access.ensure_key(
            tx,
            call,
            secret=secret,
            name=KEY_NAME,
            scopes=SCOPES,
            product_key=PRODUCT,
            pepper=settings.key_pepper.encode(),
        )


async def write(
    home: Home, settings: Settings, secrets: Secrets, *, api_url: str, sandbox_url: str | None, mail_url: str | None
) -> None:
    """Make the demo customer through the API where it is missing, and write the file. Raises ReplayError."""
    now = clock.now()
    staff_token = sign(settings, now, {"sub": "demo-staff", "kind": "staff", "role": "admin"})
    async with Client(api_url, staff_token) as client:
        customer_id = await _ensure_customer(client)
    member = {"sub": "demo-owner", "kind": "member", "role": "owner", "env": "test", "customer": customer_id}
    demo = Demo(
        api_url=api_url,
        graphql_url=f"{api_url}/graphql",
        ws_url=f"ws{api_url.removeprefix('http')}/graphql",
        sandbox_url=sandbox_url,
        sandbox_key=secrets.sandbox_api_key if sandbox_url else None,
        mail_url=mail_url,
        api_key=secrets.demo_api_key,
        staff_token=staff_token,
        customer_id=customer_id,
        customer_token=sign(settings, now, member),
    )
    write_private(home.demo, json.dumps(asdict(demo), indent=2) + "\n")


def forget(home: Home) -> None:
    """Remove the file of an earlier start: its tokens may not be accepted any more."""
    home.demo.unlink(missing_ok=True)


def read(home_path: Path) -> Demo:
    """Read the file of the running system. Raises LocalStackError where there is none."""
    file = Home(home_path.resolve()).demo
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Demo(**{one.name: found[one.name] for one in fields(Demo)})
    except (OSError, ValueError, KeyError, TypeError):
        raise LocalStackError(
            f"there are no credentials in {file}; start the system with `tollgate up`, or name the server and its "
            "credentials with options"
        ) from None


def sign(settings: Settings, now: datetime, whose: Mapping[str, str]) -> str:
    """Sign a token that is valid from now on."""
    issued_at = int(now.timestamp())
    claims = {
        "iss": settings.token_issuer,
        "aud": AUDIENCE,
        "amr": [SECOND_FACTOR],
        "iat": issued_at,
        "exp": issued_at + int(TOKEN_LIFETIME.total_seconds()),
    }
    return sign_hs256(settings.hs256_secret, {**claims, **whose})


async def _ensure_customer(client: Client) -> str:
    """Find or make the customer, its card and its subscription; each is made only where it is missing."""
    found = (await client.read(documents.FIND_CUSTOMER, externalId=EXTERNAL_ID))["nodes"]
    customer_id = str(found[0]["id"]) if found else await _create_customer(client)
    customer = await client.read(documents.CUSTOMER, id=customer_id)
    if not customer["paymentMethods"]:
        await client.change(
            documents.ATTACH_METHOD, customerId=customer_id, gatewayMethodId=CARD, idempotencyKey=EXTERNAL_ID
        )
    if not customer["subscriptions"]:
        await client.change(
            documents.SUBSCRIBE,
            customerId=customer_id,
            product=PRODUCT,
            plan=PLAN,
            interval="MONTH",
            currency=CURRENCY,
            idempotencyKey=EXTERNAL_ID,
        )
    return customer_id


async def _create_customer(client: Client) -> str:
    created = await client.change(
        documents.CREATE_CUSTOMER,
        environment="TEST",
        name="Demo customer",
        email="demo@customer.example",
        zone="UTC",
        externalId=EXTERNAL_ID,
    )
    return str(created["customer"]["id"])
