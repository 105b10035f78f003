"""How a REST route is described for the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

import msgspec

from domain.access.roles import Permission
from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the path, of the query or of the head. `schema` is JSON Schema; the text of it says the default."""

    name: str
    place: Literal["path", "query", "header"]
    description: str
    schema: Mapping[str, Any]
    example: Any


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a route, with an example of what it answers. `permission` None: anyone may ask.

    `bodies` are examples by media type, and `shape` is what a body of JSON is decoded as; `refusals` are statuses with
    a problem document; `answers_as` is the media type of the answer. `answers_too` are other statuses that are answered
    with a document of that type: what each says, and an example. `heads` are headers of all these answers.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    name: str
    summary: str
    answers: str
    example: Any
    permission: Permission | None = None
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    bodies: Mapping[str, Any] = field(default_factory=dict)
    refusals: tuple[int, ...] = ()
    answers_as: str = "application/json"
    shape: type[msgspec.Struct] | None = None
    answers_too: Mapping[int, tuple[str, Any]] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)


def whole(least: int, most: int, default: int) -> dict[str, Any]:
    """Describe a whole number with its bounds."""
    return {"type": "integer", "minimum": least, "maximum": most, "default": default}
