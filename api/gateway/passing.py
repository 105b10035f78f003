"""What the gateway passes on: known operations of four providers, and nothing that reaches into the merchant's account.

The merchant's account with a provider is shared by all customers. So a request may not name what is stored there, and
what is stored cannot be read: a customer would see another's. What no price is listed for, the meter refuses.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from api.gateway.refusals import CallMalformed, CallNotMeterable, OperationUnknown, ProviderUnknown
from domain.kernel.unreadable import UNREADABLE
from tollgate_meter.operations import BY_KEY, Found, Provider, operation_of
from tollgate_meter.pricing import DATA, DEPTH_MAX

PROVIDERS = ("openai", "anthropic", "gemini", "mistral")
# Members of a request that name something stored in the account; `prompt` does where it is an object.
_STORED = ("previous_response_id", "conversation", "container", "cachedContent", "cached_content")
# The same further inside, where they are a text or a list.
_STORED_INSIDE = frozenset(("file_id", "file_ids", "vector_store_ids", "container", "fileUri", "file_uri"))
# The type of a part of a request that stands for what an earlier response left in the account.
_REFERENCE = "item_reference"
# OpenAI goes on with it when its answer has ended, and gives what it wrote to a request that does not pass.
_LATER = "background"
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


def plain_body(body: bytes) -> bytes:
    """Return the body of a POST as it is passed on: written anew, so that the provider reads what was read here.

    Raises CallMalformed, CallNotMeterable.
    """
    try:
        request = msgspec.json.decode(body)
    except UNREADABLE:
        request = None
    if not isinstance(request, dict):
        raise CallMalformed
    refused = [_LATER] if request.get(_LATER) not in (None, False) else []
    refused += [name for name in _STORED if request.get(name) is not None]
    refused += ["prompt"] if isinstance(request.get("prompt"), dict) else []
    if refused:
        raise CallNotMeterable(refused[0])
    _check(request, 0)
    return msgspec.json.encode(request)


def _check(value: Any, depth: int) -> None:
    """Look for what is stored in the account, down to DEPTH_MAX."""
    if depth > DEPTH_MAX:
        raise CallMalformed
    if isinstance(value, dict):
        for name, each in value.items():
            if _is_stored(name, each):
                raise CallNotMeterable(_REFERENCE if name == "type" else name)
            if not (name in DATA and isinstance(each, dict)):
                _check(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _check(each, depth + 1)


def _is_stored(name: str, value: Any) -> bool:
    """Whether a member names something that is stored in the account."""
    if name == "type":
        return bool(value == _REFERENCE)
    return name in _STORED_INSIDE and isinstance(value, str | list) and bool(value)


def passed_headers(headers: Mapping[str, str], provider: Provider, key: str, *, has_body: bool) -> dict[str, str]:
    """Return the headers that the provider gets: the merchant's key, and what is harmless of the caller's."""
    passed = {name: headers[name] for name in REQUEST_HEADERS if name in headers}
    if has_body:
        passed["content-type"] = "application/json"
    return {**passed, "accept-encoding": "identity", provider.key_header: f"{provider.key_prefix}{key}"}
