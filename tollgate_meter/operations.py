"""The providers and their known operations, as data: a new provider is an entry here, and at most a shape.

An operation is found by the host, or else by the end of the path, so that it is also found behind a proxy's or an
app's own prefix. What is not listed is not metered, and the gateway refuses it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from tollgate_meter import shapes
from tollgate_meter.shapes import Shape

PATH_LENGTH_MAX = 2_048
_MODEL = r"(?P<model>[A-Za-z0-9][A-Za-z0-9._-]{0,127})"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a provider does. `path` is a pattern.

    With a shape it is priced by tokens or by what the shape states; without one by `unit`, or not at all where that is
    empty too. `asked` is the member of a request that says how many units are wanted (a list counts its length), and
    `answered` the member of the reply that lists what was made.
    """

    path: str
    shape: Shape | None = None
    unit: str = ""
    method: str = "POST"
    asked: str = ""
    answered: str = ""

    @property
    def is_metered(self) -> bool:
        """Whether a call of it is recorded."""
        return self.shape is not None or bool(self.unit)


@dataclass(frozen=True, slots=True)
class Provider:
    """Who answers, and how a key is shown there.

    `dearest_input` is the pool as which input is held: the dearest one that it could turn out to be. The two bounds are
    of the largest model: an input that cannot be seen, and an output without a limit, are held as so many tokens.
    `has_long_cache`: it may be asked to keep input for an hour, at a price of its own.
    """

    key: str
    host: str
    key_header: str
    operations: tuple[Operation, ...]
    key_prefix: str = ""
    aliases: tuple[str, ...] = ()
    models: str = ""
    dearest_input: str = "input_tokens"
    input_tokens_max: int = 0
    output_tokens_max: int = 0
    has_long_cache: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """An operation of a provider, and the model where the path names it.

    It is not sure where nothing but the end of the path speaks for it, such as /v1/messages, which an app may have too.
    """

    provider: Provider
    operation: Operation
    model: str | None
    is_sure: bool


_MODELS = (Operation(r"/v1/models", method="GET"), Operation(rf"/v1/models/{_MODEL}", method="GET"))

PROVIDERS: tuple[Provider, ...] = (
    Provider(
        "openai",
        "api.openai.com",
        "authorization",
        (
            Operation(r"/v1/chat/completions", shapes.CHAT),
            Operation(r"/v1/responses", shapes.RESPONSES),
            Operation(r"/v1/embeddings", shapes.EMBEDDINGS),
            *_MODELS,
        ),
        key_prefix="Bearer ",
        models=r"gpt-|chatgpt-|o\d|text-embedding-",
        dearest_input="cache_write_tokens",
        input_tokens_max=1_050_000,
        output_tokens_max=128_000,
    ),
    Provider(
        "anthropic",
        "api.anthropic.com",
        "x-api-key",
        (
            Operation(r"/v1/messages", shapes.MESSAGES),
            Operation(r"/v1/messages/count_tokens"),
            *_MODELS,
        ),
        models=r"claude-",
        dearest_input="cache_write_tokens",
        input_tokens_max=1_000_000,
        output_tokens_max=128_000,
        has_long_cache=True,
    ),
    Provider(
        "gemini",
        "generativelanguage.googleapis.com",
        "x-goog-api-key",
        (
            Operation(rf"/v1(?:beta|alpha)?/models/{_MODEL}:(?:g|streamG)enerateContent", shapes.GENERATE),
            Operation(rf"/v1(?:beta|alpha)?/models/{_MODEL}:(?:e|batchE)mbedContents?", shapes.EMBEDDINGS),
            Operation(rf"/v1(?:beta|alpha)?/models/{_MODEL}:countTokens"),
            Operation(r"/v1(?:beta|alpha)?/models", method="GET"),
            Operation(rf"/v1(?:beta|alpha)?/models/{_MODEL}", method="GET"),
        ),
        aliases=("google",),
        models=r"gemini-|gemma-",
        input_tokens_max=2_097_152,
        output_tokens_max=65_536,
    ),
    Provider(
        "mistral",
        "api.mistral.ai",
        "authorization",
        (
            Operation(r"/v1/chat/completions", shapes.MISTRAL_CHAT),
            Operation(r"/v1/fim/completions", shapes.MISTRAL_CHAT),
            Operation(r"/v1/embeddings", shapes.EMBEDDINGS),
            Operation(r"/v1/ocr", shapes.OCR),
            *_MODELS,
        ),
        key_prefix="Bearer ",
        aliases=("mistralai",),
        models=r"(?:open-)?(?:mistral|mixtral)-|(?:code|mini|magi|dev)stral|pixtral-|voxtral-",
        input_tokens_max=262_144,
        output_tokens_max=262_144,
    ),
    Provider(
        "tavily",
        "api.tavily.com",
        "authorization",
        (Operation(r"/search", unit="requests"), Operation(r"/extract", unit="requests")),
        key_prefix="Bearer ",
    ),
    Provider(
        "serper",
        "google.serper.dev",
        "x-api-key",
        # An array of searches in one body is so many requests.
        (Operation(r"/(?P<model>search|images|news|places|maps|videos|shopping|scholar|patents)", unit="requests"),),
    ),
    Provider(
        "exa",
        "api.exa.ai",
        "x-api-key",
        tuple(Operation(path, unit="requests") for path in (r"/search", r"/findSimilar", r"/contents", r"/answer")),
        aliases=("metaphor",),
    ),
    Provider(
        "firecrawl",
        "api.firecrawl.dev",
        "authorization",
        (Operation(r"/v[12]/scrape", unit="pages"),),
        key_prefix="Bearer ",
    ),
    Provider(
        "stability",
        "api.stability.ai",
        "authorization",
        (
            Operation(r"/v2beta/stable-image/generate/(?P<model>core|ultra|sd3)", unit="images"),
            Operation(
                rf"/v1/generation/{_MODEL}/(?:text-to-image|image-to-image)",
                unit="images",
                asked="samples",
                answered="artifacts",
            ),
        ),
        key_prefix="Bearer ",
        aliases=("stabilityai",),
    ),
)
BY_KEY: Mapping[str, Provider] = {provider.key: provider for provider in PROVIDERS}
_NAMES: Mapping[str, Provider] = {name: each for each in PROVIDERS for name in (each.key, *each.aliases)}
# A path behind another host may be anything, so a short one, such as /search, needs the provider's name before it.
_TELLING = re.compile(r"/v\d")


def find(method: str, host: str, path: str, providers: Iterable[Provider] = PROVIDERS) -> tuple[Found, ...]:
    """Return what a request may be: nothing, one operation, or those of several providers with the same path."""
    known = tuple(providers)
    by_host = provider_at(host, known)
    if by_host is not None:
        found = operation_of(by_host, method, path)
        return (found,) if found else ()
    named = provider_named(path, known)
    candidates = [_at_end(each, method, path, is_named=named is not None) for each in ((named,) if named else known)]
    return tuple(found for found in candidates if found)


def provider_at(host: str, providers: Iterable[Provider] = PROVIDERS) -> Provider | None:
    """Return whose host it is, a region's included."""
    return next((each for each in providers if host == each.host or host.endswith(f".{each.host}")), None)


def provider_named(path: str, providers: Iterable[Provider] = PROVIDERS) -> Provider | None:
    """Return the first provider that is a part of a path, under any of its names."""
    known = tuple(providers)
    return next((_NAMES[part] for part in path.split("/") if part in _NAMES and _NAMES[part] in known), None)


def operation_of(provider: Provider, method: str, path: str) -> Found | None:
    """Return the operation that a provider's own path names, or None for one that is not known."""
    return _match(provider, method, path, whole=True, telling=False)


def _at_end(provider: Provider, method: str, path: str, *, is_named: bool) -> Found | None:
    return _match(provider, method, path, whole=False, telling=not is_named)


def _match(provider: Provider, method: str, path: str, *, whole: bool, telling: bool) -> Found | None:
    if len(path) > PATH_LENGTH_MAX:
        return None
    for operation in provider.operations:
        if operation.method != method or (telling and not _TELLING.match(operation.path)):
            continue
        match = _pattern(operation.path, whole).search(path)
        if match:
            model = match.groupdict().get("model")
            return Found(provider, operation, model, is_sure=not telling or model is not None)
    return None


@lru_cache(maxsize=256)
def _pattern(path: str, whole: bool) -> re.Pattern[str]:
    return re.compile(rf"\A{path}\Z" if whole else rf"{path}\Z")
