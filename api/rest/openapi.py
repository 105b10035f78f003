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
_REF = "#/components/schemas/{name}"
_RETRY_AFTER = {"Retry-After": {"description": "Seconds until asking again may help.", "schema": {"type": "integer"}}}
# Refusals that pass by themselves say when to come again.
_PASSING = (429, 503)
_REFUSALS = {
    400: "The body or its signature cannot be read.",
    401: "No credential, or one that does not hold.",
    402: "Stripe refused it, or the payment method; or an invoice is unpaid and access is suspended.",
    403: "The credential lacks the permission.",
    404: "There is no such thing, or none that the caller may see; or the customer has no subscription.",
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
    listed = list(operations)
    shapes = {each.shape for each in listed if each.shape is not None}
    _, bodies = msgspec.json.schema_components(shapes, ref_template=_REF)
    for each in listed:
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
        "components": {"securitySchemes": _SECURITY, "schemas": {"Problem": _PROBLEM, **bodies}},
    }


def _operation(value: Operation) -> dict[str, Any]:
    written: dict[str, Any] = {
        "operationId": value.name,
        "summary": value.summary,
        "description": value.description,
        "parameters": [_parameter(each) for each in value.parameters],
        "responses": _responses(value),
    }
    if value.permission is not None:
        written |= {"security": [{"bearer": []}], "x-permission": value.permission}
    if value.bodies:
        content = {media_type: _content(example) for media_type, example in value.bodies.items()}
        if value.shape is not None:
            content["application/json"]["schema"] = {"$ref": _REF.format(name=value.shape.__name__)}
        written["requestBody"] = {"required": True, "content": content}
    return written


def _responses(value: Operation) -> dict[str, Any]:
    """Write what may be answered: a status may have both a document of its own and a problem."""
    heads = {name: {"description": text, "schema": {"type": "string"}} for name, text in value.heads.items()}
    found: dict[str, Any] = {}
    for status, (text, example) in {200: (value.answers, value.example), **value.answers_too}.items():
        found[str(status)] = {"description": text, "content": {value.answers_as: _content(example)}}
        if heads:
            found[str(status)]["headers"] = dict(heads)
    for status in value.refusals:
        response = found.setdefault(str(status), {"description": "", "content": {}})
        response["description"] = f"{response['description']} {_REFUSALS[status]}".strip()
        response["content"]["application/problem+json"] = {"schema": {"$ref": _REF.format(name="Problem")}}
        if status in _PASSING:
            response["headers"] = response.get("headers", {}) | _RETRY_AFTER
    return dict(sorted(found.items()))


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
