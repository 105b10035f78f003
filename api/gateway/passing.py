"""What the gateway passes on: known operations of four providers, and nothing that reaches into the merchant's account.

The merchant's account with a provider is shared by all customers. So a request may not name what is stored there, and
what is stored cannot be read: a customer would see another's. It may not ask for what no price is listed for either.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from api.gateway.refusals import CallMalformed, CallNotMeterable, OperationUnknown, ProviderUnknown
from domain.kernel.unreadable import UNREADABLE
from tollgate_meter.operations import BY_KEY, Found, Provider, operation_of

PROVIDERS = ("openai", "anthropic", "gemini", "mistral")
DEPTH_MAX = 64
# Members of a request that name something stored in the account; `prompt` does where it is an object.
_STORED = ("previous_response_id", "conversation", "container", "cachedContent", "cached_content")
# The same further inside, where they are a text or a list.
_STORED_INSIDE = frozenset(("file_id", "file_ids", "vector_store_ids", "container", "fileUri", "file_uri"))
# The type of a part of a request that stands for what an earlier response left in the account.
_REFERENCE = "item_reference"
# Members that have the provider look things up, at a price for each time and with more input than anybody asked for.
_LOOKS_UP = ("web_search_options", "mcp_servers")
# Tools that the caller carries out. Any other one is the provider's own, has a price of its own and brings in more
# input than the request has. A type may have a date behind it.
_CALLERS_TOOL = re.compile(
    r"(?:function|custom|computer(?:_use_preview)?|local_shell|apply_patch|bash|text_editor|memory)(?:_\d{8})?"
)
_GEMINIS_TOOLS = frozenset(("functionDeclarations", "function_declarations", "computerUse", "computer_use"))
# Members that hold a caller's own data and schemas, in which any name may occur.
_DATA = frozenset(
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
# Members of a request whose other values change the price or let the answer come later, unmetered. Tiers: Google reads
# both spellings. A region has a surcharge at Anthropic, and Mistral's annotations one for each page.
_STANDARD = (None, "auto", "default", "standard", "standard_only", "unspecified")
_PLAIN: Mapping[str, tuple[Any, ...]] = {
    "background": (None, False),
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
# Models that look things up without being asked to, at a price for each time.
_SEARCHES = re.compile(r"-search-(?:preview|api)(?:-|$)")
_NONE: tuple[Any, ...] = (None, [], {})
# Headers that a provider gets from the caller. What turns on features that are not known here is not among them.
REQUEST_HEADERS = ("accept", "anthropic-version")


def find(provider_key: str, method: str, path: str) -> Found:
    """Return the operation that a path below a provider names. Raises ProviderUnknown, OperationUnknown."""
    if provider_key not in PROVIDERS:
        raise ProviderUnknown(provider_key[:64])
    found = operation_of(BY_KEY[provider_key], method, path)
    if found is None:
        raise OperationUnknown
    return found


def plain_body(body: bytes, provider_key: str) -> bytes:
    """Return the body of a POST as it is passed on: written anew, so that the provider reads what was read here.

    Raises CallMalformed, CallNotMeterable.
    """
    try:
        request = msgspec.json.decode(body)
    except UNREADABLE:
        request = None
    if not isinstance(request, dict):
        raise CallMalformed
    refused = [name for name, allowed in _PLAIN.items() if request.get(name) not in allowed]
    refused += [name for name in _STORED if request.get(name) is not None]
    refused += [name for name in _LOOKS_UP if request.get(name) not in _NONE]
    refused += [] if _are_callers(request.get("tools"), provider_key) else ["tools"]
    refused += ["prompt"] if isinstance(request.get("prompt"), dict) else []
    refused += ["model"] if _SEARCHES.search(str(request.get("model"))) else []
    if refused:
        raise CallNotMeterable(refused[0])
    _check(request, 0)
    return msgspec.json.encode(request)


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


def _check(value: Any, depth: int) -> None:
    """Look for what is stored in the account, or for long in a cache, down to DEPTH_MAX."""
    if depth > DEPTH_MAX:
        raise CallMalformed
    if isinstance(value, dict):
        for name, each in value.items():
            if _is_stored(name, each) or _lives_long(name, each):
                raise CallNotMeterable(_REFERENCE if name == "type" else name)
            if not (name in _DATA and isinstance(each, dict)):
                _check(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _check(each, depth + 1)


def _is_stored(name: str, value: Any) -> bool:
    """Whether a member names something that is stored in the account."""
    if name == "type":
        return bool(value == _REFERENCE)
    return name in _STORED_INSIDE and isinstance(value, str | list) and bool(value)


def _lives_long(name: str, value: Any) -> bool:
    """Whether a member has something kept for longer than the price of writing to a cache is for."""
    return name in _CACHES and isinstance(value, dict) and value.get("ttl") not in _LIFETIMES


def passed_headers(headers: Mapping[str, str], provider: Provider, key: str, *, has_body: bool) -> dict[str, str]:
    """Return the headers that the provider gets: the merchant's key, and what is harmless of the caller's."""
    passed = {name: headers[name] for name in REQUEST_HEADERS if name in headers}
    if has_body:
        passed["content-type"] = "application/json"
    return {**passed, "accept-encoding": "identity", provider.key_header: f"{provider.key_prefix}{key}"}
