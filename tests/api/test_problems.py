"""What a refusal looks like outside."""

import json
from dataclasses import dataclass
from typing import get_args

import pytest
from starlette.requests import Request

from api.graphql.problems import AnyProblem, Problem, problem_of, remembered
from api.problems import HTTP_STATUS, PROBLEM, on_crash, on_passing_fault, on_refusal, problem_response
from domain.kernel.errors import DomainError, Kind


@dataclass(eq=False)
class DoorClosed(DomainError):
    """The door {number} is closed. Knock."""

    number: int


def _refusal(kind: Kind) -> DomainError:
    error = DoorClosed(7)
    type(error).code, type(error).kind = "door_closed", kind
    return error


def _request() -> Request:
    return Request({"type": "http", "method": "GET", "path": "/door", "headers": [], "query_string": b""})


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_status_and_a_type_of_its_own(kind: Kind) -> None:
    answer = problem_response(_refusal(kind))
    assert json.loads(bytes(answer.body)) == {
        "type": "about:blank",
        "title": PROBLEM[kind],
        "status": HTTP_STATUS[kind],
        "code": "door_closed",
        "detail": "The door 7 is closed. Knock.",
    }
    assert (answer.status_code, answer.media_type) == (HTTP_STATUS[kind], "application/problem+json")
    assert ("Retry-After" in answer.headers) is (kind in {Kind.BUSY, Kind.UNAVAILABLE})
    assert ("WWW-Authenticate" in answer.headers) is (kind is Kind.UNAUTHENTICATED)
    problem = problem_of(_refusal(kind))
    assert isinstance(problem, Problem)
    assert (type(problem).__name__, problem.code) == (PROBLEM[kind], "door_closed")


def test_the_problems_are_those_of_the_table_and_all_of_them() -> None:
    assert {each.__name__ for each in get_args(AnyProblem)} == set(PROBLEM.values())
    assert set(PROBLEM) == set(HTTP_STATUS) == set(Kind)


def test_a_remembered_refusal_comes_back_as_it_was() -> None:
    problem = remembered({"problem": "conflict", "code": "door_closed", "message": "Knock."})
    assert (type(problem).__name__, problem.code, problem.message) == ("Conflict", "door_closed", "Knock.")


async def test_a_refusal_that_left_an_endpoint_is_answered_and_a_crash_tells_nothing() -> None:
    refused = await on_refusal(_request(), _refusal(Kind.NOT_FOUND))
    assert refused.status_code == 404
    crashed = await on_crash(_request(), RuntimeError("the secret is 42"))
    assert (crashed.status_code, json.loads(bytes(crashed.body))["code"]) == (500, "internal_error")
    assert b"42" not in bytes(crashed.body)
    away = await on_passing_fault(_request(), ConnectionRefusedError("db.internal"))
    assert (away.status_code, json.loads(bytes(away.body))["code"]) == (503, "database_unreachable")
    assert b"db.internal" not in bytes(away.body)
