"""GET /api/openapi.json: every route that is not GraphQL, as an OpenAPI 3.1 document. Anyone may read it.

It is made once, from the descriptions in operations.py; a test compares it with the routes of the application.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api.rest.describing import Operation, Parameter
from api.rest.operations import OPERATIONS

VERSION = "1"
_SECURITY = {"bearer": {"type": "http", "scheme": "bearer", "description": "An API key (tg_…) or a signed token."}}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457, with a stable code and a message that a customer can read.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_REFUSALS = {
    400: "The body or its signature cannot be read.",
    401: "No credential, or one that does not hold.",
    402: "Stripe refused it, or the payment method.",
    403: "The credential lacks the permission.",
    404: "There is no such customer, or none that the caller may see, or it has no subscription.",
    408: "The body came too slowly.",
    409: "What it is about stands otherwise: nothing is subscribed, or the reservation is closed.",
    413: "The body is larger than its bound.",
    415: "The body has a form or an encoding that is not read.",
    422: "A parameter is not what it may be, or a batch is refused whole.",
    429: "Too much at once; send the same again after Retry-After.",
    503: "The database does not answer; send the same again after Retry-After.",
}


def document_of(operations: Iterable[Operation]) -> dict[str, Any]:
    """Write the document."""
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate",
            "version": VERSION,
            "description": "The REST routes. Everything else is at POST /graphql. Numbers in JSON are exact decimals: "
            "read them as decimals, not as floats, where digits matter.",
        },
        "paths": paths,
        "components": {"securitySchemes": _SECURITY, "schemas": {"Problem": _PROBLEM}},
    }


def _operation(value: Operation) -> dict[str, Any]:
    written: dict[str, Any] = {
        "operationId": value.name,
        "summary": value.summary,
        "description": value.description,
        "parameters": [_parameter(each) for each in value.parameters],
        "responses": {
            "200": {"description": value.answers, "content": {value.answers_as: _content(value.example)}},
            **{
                str(status): {
                    "description": _REFUSALS[status],
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for status in value.refusals
            },
        },
    }
    if value.permission is not None:
        written |= {"security": [{"bearer": []}], "x-permission": value.permission}
    if value.bodies:
        content = {media_type: _content(example) for media_type, example in value.bodies.items()}
        written["requestBody"] = {"required": True, "content": content}
    return written


def _content(example: Any) -> dict[str, Any]:
    return {"schema": {"type": _type_of(example)}, "example": example}


def _type_of(example: Any) -> str:
    if isinstance(example, dict | msgspec.Raw):
        return "object"
    return "array" if isinstance(example, list) else "string"


def _parameter(value: Parameter) -> dict[str, Any]:
    return {
        "name": value.name,
        "in": value.place,
        "required": value.place == "path",
        "description": value.description,
        "schema": dict(value.schema),
        "example": value.example,
    }


_DOCUMENT = msgspec.json.encode(document_of(OPERATIONS))


async def get_openapi(_: Request) -> Response:
    """Answer with the document."""
    return Response(_DOCUMENT, media_type="application/json")
