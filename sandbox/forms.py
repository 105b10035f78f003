"""Decode Stripe's form encoding: `a[b]=1`, `a[0][b]=1` and `a[]=1` become nested dictionaries.

Arrays stay dictionaries with numeric keys here; the contract knows which parameters are arrays and turns them.
"""

import re
from typing import Any
from urllib.parse import parse_qsl

from sandbox.errors import malformed

PAIRS_MAX = 20_000
DEPTH_MAX = 12
NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")


def pairs(encoded: str) -> list[tuple[str, str]]:
    """Split a query string or form body; empty values are kept because they unset parameters."""
    try:
        return parse_qsl(encoded, keep_blank_values=True, max_num_fields=PAIRS_MAX, errors="strict")
    except (ValueError, UnicodeDecodeError) as error:
        raise malformed(f"Invalid form body: at most {PAIRS_MAX} UTF-8 fields are accepted.") from error


def decode(fields: list[tuple[str, str]]) -> dict[str, Any]:
    """Nest the fields of a form. Refuses names that are not well bracketed or that contradict each other."""
    root: dict[str, Any] = {}
    for name, value in fields:
        _place(root, _keys(name), value, name)
    return root


def _keys(name: str) -> list[str]:
    match = NAME.match(name)
    if match is None:
        raise malformed(f"Invalid parameter name: {name}", code="parameter_unknown", param=name)
    keys = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
    if len(keys) > DEPTH_MAX:
        raise malformed(f"Parameter nested deeper than {DEPTH_MAX} levels: {name}", param=name)
    return keys


def _place(root: dict[str, Any], keys: list[str], value: str, name: str) -> None:
    node = root
    for key in keys[:-1]:
        node = node.setdefault(key or str(len(node)), {})
        if not isinstance(node, dict):
            raise malformed(f"Parameter {name} is given both as a value and as an object.", param=name)
    last = keys[-1] or str(len(node))
    if isinstance(node.get(last), dict):
        raise malformed(f"Parameter {name} is given both as a value and as an object.", param=name)
    node[last] = value
