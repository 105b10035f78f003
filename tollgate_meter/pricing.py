"""What a request asks for that no price list has a price of: dearer tiers, tools of the provider's own, and the like.

Counted at the plain rate, such a call would cost its customer less than it costs whoever resells it, or more.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tollgate_meter.operations import Provider
from tollgate_meter.shapes import Facts

DEPTH_MAX = 64
# Members that have the provider look things up, at a price for each time and with more input than anybody asked for.
_LOOKS_UP = ("web_search_options", "mcp_servers")
# Tools that the caller carries out. Any other one is the provider's own, has a price of its own and brings in more
# input than the request has. A type may have a date behind it.
_CALLERS_TOOL = re.compile(
    r"(?:function|custom|computer(?:_use_preview)?|local_shell|apply_patch|bash|text_editor|memory)(?:_\d{8})?"
)
_GEMINIS_TOOLS = frozenset(("functionDeclarations", "function_declarations", "computerUse", "computer_use"))
# Members that hold a caller's own data and schemas, in which any name may occur.
DATA = frozenset(
    (
        "input_schema",
        "parameters",
        "parametersJsonSchema",
        "parameters_json_schema",
        "responseSchema",
        "response_schema",
        "responseJsonSchema",
        "schema",
        "args",
        "input",
        "response",
    )
)
# Members of a request whose other values change the price. Tiers: Google reads both spellings. A region has a surcharge
# at Anthropic, and Mistral's annotations one for each page.
_STANDARD = (None, "auto", "default", "standard", "standard_only", "unspecified")
_PLAIN: Mapping[str, tuple[Any, ...]] = {
    "service_tier": _STANDARD,
    "serviceTier": _STANDARD,
    "speed": (None, "standard"),
    "inference_geo": (None, "global"),
    "fallbacks": (None, []),
    "bbox_annotation_format": (None,),
    "document_annotation_format": (None,),
}
# How long something stays in a provider's cache: what stays longer costs more to write, at a price that no list has.
_CACHES = frozenset(("cache_control", "prompt_cache_options", "prompt_cache_breakpoint"))
_LIFETIMES = (None, "5m", "30m")
_LONG_LIFETIMES = (*_LIFETIMES, "1h")
# Models that look things up without being asked to, at a price for each time.
_SEARCHES = re.compile(r"-search-(?:preview|api)(?:-|$)")
_NONE: tuple[Any, ...] = (None, [], {})


def unlisted_member(request: Facts, provider: Provider, model: str) -> str:
    """Return the member by which a request asks for what no list has a price of; nothing where there is none."""
    return next(_unlisted(request, provider, model), "")


def _unlisted(request: Facts, provider: Provider, model: str) -> Iterator[str]:
    yield from (name for name, allowed in _PLAIN.items() if request.get(name) not in allowed)
    yield from (name for name in _LOOKS_UP if request.get(name) not in _NONE)
    if not _are_callers(request.get("tools"), provider.key):
        yield "tools"
    if _SEARCHES.search(model):
        yield "model"
    yield from _long_lives(request, _LONG_LIFETIMES if provider.has_long_cache else _LIFETIMES)


def _are_callers(tools: Any, provider_key: str) -> bool:
    """Whether the caller carries out every tool of a request; what cannot be read may be anything."""
    if tools in _NONE:
        return True
    if not isinstance(tools, list) or not all(isinstance(each, dict) for each in tools):
        return False
    if provider_key == "gemini":
        return all(each.keys() <= _GEMINIS_TOOLS for each in tools)
    # Without a type it is a function at Anthropic, and nothing at the others.
    types = [each.get("type") or "function" for each in tools]
    return all(isinstance(each, str) and _CALLERS_TOOL.fullmatch(each) is not None for each in types)


def _long_lives(value: Any, listed: Collection[str | None], depth: int = 0) -> Iterator[str]:
    """Find what is to be kept for longer than writing to a cache is priced for; no API nests it DEPTH_MAX deep."""
    if depth > DEPTH_MAX:
        return
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name in _CACHES and isinstance(each, dict) and each.get("ttl") not in listed:
                yield name
            if not (name in DATA and isinstance(each, dict)):
                yield from _long_lives(each, listed, depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _long_lives(each, listed, depth + 1)
