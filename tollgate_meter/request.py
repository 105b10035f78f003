"""Read a request before it is sent: which model it asks for, what it can use at most, and what it still needs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from tollgate_meter.operations import Found, Operation, Provider
from tollgate_meter.pricing import unlisted_member
from tollgate_meter.shapes import KEPT_LONG, Facts, Quantities, Shape, facts_of
from tollgate_meter.tokens import ASCII_PER_TOKEN, count_of, tokens_at_most, tokens_within

# What a request gets that states no limit of its output.
OUTPUT_LIMIT = 8_192
# The most answers that a request may ask for at once, with any provider.
TIMES_MAX = 128
TEXT_LENGTH_MAX = 128
# A picture that is fetched by the provider cannot be seen here; no provider counts more for one.
PICTURE_TOKENS_MAX = 32_768
_PICTURES = (b'"image_url"', b'"url"')
# OpenAI and Google name what an answer is made of in their own ways.
_MODALITIES, _SPOKEN = b'odalities"', (b'"audio"', b'"AUDIO"')
# How Anthropic is asked to keep something in its cache for long.
_AN_HOUR = b'"1h"'
# What stands for a text that cannot be seen here: as much as the model can read.
_UNSEEN = tuple(
    f'"{name}"'.encode()
    for name in (
        "file_id",
        "file_url",
        "fileUri",
        "file_uri",
        "previous_response_id",
        "conversation",
        "cachedContent",
        "cached_content",
        "document",
        "document_url",
    )
)
# Pages of one document that is read by OCR.
PAGES_MAX = 1_000
_UNKNOWN_MODEL = "unknown"


@dataclass(frozen=True, slots=True)
class MeteredCall:
    """A call that will be recorded. `body` is what is to be sent; it and `request` are never shown, stored or logged.

    `held` is the most that the call can use. Where `hides_usage`, the caller did not ask for the chunk with the usage,
    and does not get it. `unlisted` is the member of the request by which it asks for what no list has a price of.
    """

    provider: str
    model: str
    endpoint: str
    operation: Operation
    held: Quantities
    body: bytes = field(repr=False)
    request: Facts = field(repr=False)
    hides_usage: bool = False
    unlisted: str = ""

    @property
    def names(self) -> dict[str, str]:
        """The properties of the event that say what was called."""
        return {"provider": self.provider, "model": self.model, "endpoint": self.endpoint}

    @property
    def input_tokens_about(self) -> int:
        """About how many tokens the request has, for a record without reported usage; at most what is held.

        A body that cannot be read, or has no text, such as numbers of tokens, counts as text itself.
        """
        about = tokens_within(self.request) or len(self.body) // ASCII_PER_TOKEN
        return min(about, self._held_of("input", "cache"))

    @property
    def output_tokens_at_most(self) -> int:
        """The most that it can write, of whatever kind."""
        return self._held_of("output")

    @property
    def runs_on(self) -> bool:
        """Whether the provider goes on with it when its answer has ended: a later request gets what it wrote."""
        return self.request.get("background") is True

    def _held_of(self, *words: str) -> int:
        return sum(
            count for name, count in self.held.items() if name != KEPT_LONG and any(word in name for word in words)
        )


def read_request(
    candidates: Sequence[Found],
    path: str,
    body: bytes,
    *,
    output_limit: int | None = OUTPUT_LIMIT,
    rewrites: bool = True,
) -> MeteredCall | None:
    """Return what is to be metered, or None for a request that is not, by its operation or by its body.

    A request without an output limit gets `output_limit`; with None it is left as it is, and held at the most that the
    provider's largest model writes. A body that cannot be read is sent as it is and held at the same. Without
    `rewrites` every body is sent as it is, and `output_limit` is what the receiver is known to keep to.
    """
    request = _decoded(body)
    found = _chosen(candidates, request)
    if found is None or not found.operation.is_metered:
        return None
    provider, operation = found.provider, found.operation
    call = MeteredCall(
        provider=provider.key,
        model=_model(found, request),
        endpoint=_endpoint(path, found),
        operation=operation,
        held={},
        body=body,
        request=facts_of(request),
    )
    if operation.shape is None:
        return replace(call, held={operation.unit: units_asked(operation, request)})
    if rewrites:
        call = replace(call, unlisted=unlisted_member(call.request, provider, call.model))
    if operation.shape.key == "ocr":
        return replace(call, held={"pages": PAGES_MAX})
    prepared, hides_usage = call.request, False
    if rewrites:
        prepared, hides_usage = _prepared(operation.shape, call.request, output_limit)
    return replace(
        call,
        held=_held(provider, operation.shape, prepared, body, output_limit),
        body=body if prepared is call.request else msgspec.json.encode(prepared),
        request=prepared,
        hides_usage=hides_usage,
    )


def units_asked(operation: Operation, request: Any) -> int:
    """Return how many units a request without tokens asks for: 1 unless it says otherwise."""
    if isinstance(request, list):
        return max(len(request), 1)
    asked = count_of(facts_of(request).get(operation.asked)) if operation.asked else None
    return asked or 1


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _chosen(candidates: Sequence[Found], request: Any) -> Found | None:
    """Tell providers with the same path apart by the model; the first one is meant where that tells nothing."""
    model = facts_of(request).get("model")
    if isinstance(request, dict | list) and not isinstance(model, str):
        # Each of these APIs wants a model, so a body that can be read and names none is for somebody else.
        candidates = [each for each in candidates if each.is_sure]
    if len(candidates) > 1 and isinstance(model, str):
        for each in candidates:
            if each.provider.models and re.match(each.provider.models, model):
                return each
    return candidates[0] if candidates else None


def _model(found: Found, request: Any) -> str:
    stated = found.model or facts_of(request).get("model")
    text = stated if isinstance(stated, str) else ""
    readable = text.removeprefix("models/") if text.isprintable() and text.isascii() else ""
    return readable[:TEXT_LENGTH_MAX] or (_UNKNOWN_MODEL if found.operation.shape else "*")


def _endpoint(path: str, found: Found) -> str:
    """Return the operation's path without what stood before it and without the model, which is stated by itself."""
    match = re.search(rf"{found.operation.path}\Z", path)
    text = match.group(0) if match else path
    return (text.replace(f"/{found.model}", "") if found.operation.shape else text)[:TEXT_LENGTH_MAX]


def _prepared(shape: Shape, request: Facts, output_limit: int | None) -> tuple[Facts, bool]:
    """Ask for usage at the end of a stream, and set the output limit; a request that needs neither stays as it is."""
    hides_usage = False
    # Whatever a provider may take for a yes.
    if shape.asks_for_usage and request.get("stream"):
        options = facts_of(request.get("stream_options"))
        hides_usage = options.get("include_usage") is not True
        if hides_usage:
            request = {**request, "stream_options": {**options, "include_usage": True}}
    if shape.limits and output_limit is not None and request and not _stated(request, shape.limits):
        request = _with_limit(shape, request, output_limit)
    return request, hides_usage


def _with_limit(shape: Shape, request: Facts, output_limit: int) -> Facts:
    *containers, name = next((each for each in shape.limits if request.get(each[0]) is not None), shape.limits[0])
    if not containers:
        return {**request, name: output_limit}
    return {**request, containers[0]: {**facts_of(request.get(containers[0])), name: output_limit}}


def _stated(request: Facts, paths: Sequence[tuple[str, ...]]) -> list[Any]:
    found = []
    for path in paths:
        value: Any = request
        for name in path:
            value = facts_of(value).get(name)
        if value is not None:
            found.append(value)
    return found


def _held(provider: Provider, shape: Shape, request: Facts, body: bytes, output_limit: int | None) -> Quantities:
    """Return the most that a call can use, input in the dearest pool that it may turn out to be."""
    into = "audio_input_tokens" if b'"input_audio"' in body else provider.dearest_input
    held = {into: min(_input_at_most(provider, body), provider.input_tokens_max)}
    if provider.has_long_cache and _AN_HOUR in body:
        held[KEPT_LONG] = held[into]
    if shape.limits:
        is_spoken = _MODALITIES in body and any(kind in body for kind in _SPOKEN)
        out = "audio_output_tokens" if is_spoken else "output_tokens"
        held[out] = _output_at_most(provider, shape, request, output_limit)
    return held


def _input_at_most(provider: Provider, body: bytes) -> int:
    if any(marker in body for marker in _UNSEEN):
        return provider.input_tokens_max
    return tokens_at_most(body) + PICTURE_TOKENS_MAX * sum(body.count(marker) for marker in _PICTURES)


def _output_at_most(provider: Provider, shape: Shape, request: Facts, output_limit: int | None) -> int:
    """Take the largest of what is stated: a value that is no number may mean anything to the provider."""
    limits = [count_of(value) for value in _stated(request, shape.limits)]
    if not limits and request and output_limit is not None:
        limits = [output_limit]
    times = [count_of(value) for value in _stated(request, shape.times)]
    known = [limit for limit in limits if limit is not None]
    each = max(known) if known and len(known) == len(limits) else provider.output_tokens_max
    many = max((TIMES_MAX if time is None else time for time in times), default=1)
    return min(each, provider.output_tokens_max) * max(min(many, TIMES_MAX), 1)


def with_names(call: MeteredCall, quantities: Mapping[str, int]) -> dict[str, Any]:
    """Return the properties of the event that a call becomes."""
    return {**call.names, **quantities}
