"""`tollgate catalogue`, with the settings of an environment."""

import json
from pathlib import Path

import pytest

from domain.db import Database
from domain.plans.exact import DefinitionRefused
from tests.api import command

_PRODUCT = {
    "key": "search",
    "name": "Search",
    "meters": [{"key": "queries", "name": "Queries", "event_type": "q", "aggregation": "count", "unit": "query"}],
    "plans": [
        {
            "key": "team",
            "name": "Team",
            "rank": 1,
            "prices": [
                {
                    "key": "queries_eur",
                    "kind": "usage",
                    "currency": "EUR",
                    "meter": "queries",
                    "model": "package",
                    "definition": {"package_size": "1000", "package_amount": "5"},
                    "description": "Queries",
                }
            ],
        }
    ],
}
_NEW = "product search: new\nmeter queries: new\nplan team: version 1\n"


async def test_a_product_is_tried_published_listed_and_written_again(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    assert db is not None
    file = tmp_path / "search.json"
    file.write_text(json.dumps(_PRODUCT))
    assert await command.run(database_url, "catalogue", "diff", str(file)) == (0, _NEW)
    assert await command.run(database_url, "catalogue", "list") == (0, "")
    assert await command.run(database_url, "catalogue", "publish", str(file)) == (0, _NEW)
    _, listed = await command.run(database_url, "catalogue", "list")
    assert listed == "search  Search\n  team             version 1, rank 1, EUR\n"

    _, written = await command.run(database_url, "catalogue", "show", "search")
    again = tmp_path / "again.json"
    again.write_text(written)
    nothing = (0, "search: everything is there already\n")
    assert await command.run(database_url, "catalogue", "publish", str(again)) == nothing
    again.write_text(written.replace('"Team"', '"Teams"'))
    _, told = await command.run(database_url, "catalogue", "publish", str(again))
    assert told == "plan team: no new version\n  ~ name\n"
    again.write_text(json.dumps({**_PRODUCT, "plans": []}))
    _, told = await command.run(database_url, "catalogue", "diff", str(again))
    assert told == "search: everything is there already\nplan team: not named, stays as it is\n"


async def test_a_file_that_could_not_be_billed_is_refused_with_the_path_to_the_fault(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    assert db is not None
    file = tmp_path / "search.json"
    file.write_text(json.dumps(_PRODUCT).replace('"package_size": "1000"', '"package_size": "0"'))
    with pytest.raises(DefinitionRefused) as refused:
        await command.run(database_url, "catalogue", "publish", str(file))
    assert refused.value.path == "$.plans[0].prices[0].definition.package_size"
    assert await command.run(database_url, "catalogue", "list") == (0, "")
