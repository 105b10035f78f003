"""Index of every operation that the installed `stripe` package knows: verb, path and the name of its parameters.

The package's sources are read as text, not imported: all service files take about a tenth of a second and no memory
that stays. The generated code is regular, so two patterns find every operation; a test compares the count with the
number of requests in the package.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

REQUEST = re.compile(
    r'params: (?:Optional\[\s*)?"(?P<shape>\w+)"'
    r'|self\._request(?:_stream)?\(\s*"(?P<verb>\w+)",\s*"(?P<path>[^"]+)"',
)
IMPORT = re.compile(r"from (stripe\.params[\w.]*) import \(?\s*(\w+)")
VERSION = re.compile(r'CURRENT = "([^"]+)"')


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb and path template of Stripe's API, with the module and class that describe its parameters."""

    verb: str
    path: str
    module: str
    shape: str


def package() -> Path:
    """Find the installed `stripe` package without importing it."""
    spec = find_spec("stripe")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("The package 'stripe' is not installed: run `make run` or install stripe[async].")
    return Path(spec.submodule_search_locations[0])


@cache
def api_version() -> str:
    """Give the API version that the installed package pins, the only one this sandbox speaks."""
    match = VERSION.search((package() / "_api_version.py").read_text())
    assert match is not None
    return match[1]


@cache
def operations() -> dict[tuple[str, str], Operation]:
    """Index all operations by verb (lower case) and path template."""
    found: dict[tuple[str, str], Operation] = {}
    for source in sorted(package().rglob("_*_service.py")):
        for operation in _in_file(source.read_text()):
            found.setdefault((operation.verb, operation.path), operation)
    return found


def _in_file(text: str) -> list[Operation]:
    modules = {name: module for module, name in IMPORT.findall(text)}
    found = []
    shape = ""
    for match in REQUEST.finditer(text):
        if match["shape"]:
            shape = match["shape"]
        else:
            found.append(Operation(match["verb"], match["path"], modules[shape], shape))
    return found


@cache
def _by_length() -> dict[tuple[str, int], list[tuple[list[str], Operation]]]:
    """File the operations by verb and number of path segments, fixed segments before placeholders."""
    filed: dict[tuple[str, int], list[tuple[list[str], Operation]]] = {}
    for operation in sorted(operations().values(), key=lambda each: (each.path.count("{"), each.path)):
        segments = operation.path.split("/")
        filed.setdefault((operation.verb, len(segments)), []).append((segments, operation))
    return filed


def match(verb: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """Find the operation of a request and the ids in its path; None when Stripe has no such path for that verb."""
    segments = path.split("/")
    for template, operation in _by_length().get((verb.lower(), len(segments)), []):
        values = _values(template, segments)
        if values is not None:
            return operation, values
    return None


def _values(template: list[str], segments: list[str]) -> dict[str, str] | None:
    values = {}
    for expected, given in zip(template, segments, strict=True):
        if expected.startswith("{") and given:
            values[expected[1:-1]] = given
        elif expected != given:
            return None
    return values
