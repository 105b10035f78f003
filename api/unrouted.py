"""Requests that no route takes: for an address that there is not, or with a method that it does not know.

Programs get a problem document, as of every other refusal; a browser that shows a page gets a line of text. Neither
repeats anything of the request.
"""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from api.problems import problem_response
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass

STATUS_NOT_FOUND = 404
STATUS_METHOD = 405
_PAGE = "text/html"


@dataclass(eq=False)
class AddressUnknown(DomainError):
    """There is nothing at this address. GET /api/openapi.json lists what there is."""

    code = "not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class MethodNotAllowed(DomainError):
    """This address does not take this method. The header Allow lists those that it takes."""

    code = "method_not_allowed"
    kind = Kind.INVALID


async def on_unknown_address(request: Request, _: Exception) -> Response:
    """Answer 404."""
    if _wants_page(request):
        return PlainTextResponse("Not Found", STATUS_NOT_FOUND)
    return problem_response(AddressUnknown())


async def on_wrong_method(request: Request, _: Exception) -> Response:
    """Answer 405 with the methods of all routes of the address."""
    if _wants_page(request):
        answer: Response = PlainTextResponse("Method Not Allowed", STATUS_METHOD)
    else:
        answer = problem_response(MethodNotAllowed(), status=STATUS_METHOD)
    answer.headers["Allow"] = ", ".join(sorted(_methods_at(request)))
    return answer


def _methods_at(request: Request) -> set[str]:
    routes = [each for each in request.app.routes if isinstance(each, Route)]
    path = request.scope["path"]
    return {method for each in routes if each.path_regex.match(path) for method in each.methods or ()}


def _wants_page(request: Request) -> bool:
    return _PAGE in request.headers.get("accept", "")


UNROUTED = {STATUS_NOT_FOUND: on_unknown_address, STATUS_METHOD: on_wrong_method}
