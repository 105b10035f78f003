"""Products are published, tried and read back through the API, whatever their meters and prices are."""

import json
from typing import Any, get_args

from domain.kernel.ids import encode
from domain.plans.meter import Aggregation
from domain.plans.price import MODELS
from tests.api.graphql.site import Site
from tests.domain.plans.test_publishing import product_of_every_model

PUBLISHED = """... on ProductPublished { dryRun meters leftOut plans { plan version details }
    product { plans { key version { number } } } }"""
SOLD = """{ products { key meters { key aggregation }
    plans { key version { number prices { model interval meter { key } } } } } }"""


def _sold(answer: Any, key: str) -> Any:
    return next((each for each in answer["products"] if each["key"] == key), None)


def _with_every_meter() -> str:
    product = json.loads(product_of_every_model())
    for kind in get_args(Aggregation):
        meter = {"key": f"m_{kind}", "name": kind, "event_type": "f", "aggregation": kind, "unit": "unit"}
        meter |= {} if kind in {"count", "cost"} else {"value_properties": ["value"]}
        product["meters"].append(meter | ({"percent": "95"} if kind == "percentile" else {}))
    return json.dumps(product)


async def test_a_product_of_every_model_and_meter_is_tried_published_and_shown(site: Site) -> None:
    token, definition = site.staff("finance"), _with_every_meter()
    tried = await site.change("publishProduct", PUBLISHED, token, definition=definition, dryRun=True)
    assert (tried["dryRun"], tried["product"], len(tried["meters"])) == (True, None, 8 + 11)
    assert tried["plans"] == [{"plan": "all", "version": 1, "details": []}]
    assert _sold(await site.read(SOLD, token), "models") is None

    done = await site.change("publishProduct", PUBLISHED, token, definition=definition)
    assert done["product"] == {"plans": [{"key": "all", "version": {"number": 1}}]}
    shown = _sold(await site.read(SOLD, token), "models")
    kinds = {each["aggregation"] for each in shown["meters"]}
    models = {each["model"] for each in shown["plans"][0]["version"]["prices"]}
    assert kinds == {kind.upper() for kind in get_args(Aggregation)}
    assert models == {model.upper() for model in MODELS}

    written = "query($key: String!) { productDefinition(product: $key) }"
    [text] = (await site.read(written, token, key="models")).values()
    again = await site.change("publishProduct", PUBLISHED, token, definition=text)
    assert (again["meters"], again["plans"], again["leftOut"]) == ([], [], [])
    assert await site.read(written, token, key="nothing") == {"productDefinition": None}


async def test_a_definition_that_cannot_be_billed_is_refused_with_its_path(site: Site) -> None:
    token = site.staff()
    for definition, message in (
        ("", "$ is malformed: Input data was truncated"),
        ("[]", "$ is malformed: Expected `object`, got `array`"),
        ('{"key": "A", "name": "A", "meters": [], "plans": []}', "$.key is not a key"),
        ('{"key": "a", "name": "A", "meters": [], "plans": [{"key": "b"}]}', "$.plans[0] is malformed: Object missing"),
    ):
        refused = await site.change("publishProduct", PUBLISHED, token, definition=definition)
        assert (refused["code"], message in refused["message"]) == ("definition_refused", True), refused


async def test_what_was_just_published_is_shown_at_once(site: Site) -> None:
    ada = await site.world.customer(on="2026-04-01")
    own, token = encode("customer", ada.id), site.staff()
    # The process has looked at the catalogue a moment ago.
    await site.read(SOLD, token)
    terms = json.dumps({"support": "by a person"})
    shown = "... on CustomVersionPublished { plan { key version { number support } } }"
    given = {"customerId": own, "product": "edge", "plan": "enterprise", "terms": terms}
    done = await site.change("publishCustomVersion", shown, token, **given)
    assert done["plan"] == {"key": "enterprise", "version": {"number": 2, "support": "by a person"}}
