"""How each kind of API states what a call used: the adapters, one for each shape of request and reply.

Usage becomes quantities by property of the event `llm.call`. They are mutually exclusive: what was read from a cache,
reasoned, or heard is not counted as input or output again; KEPT_LONG alone is a part of another one. A part that a
provider states as larger than its whole is cut to the whole, so that the sum is always the provider's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tollgate_meter.tokens import count_of

Facts = Mapping[str, Any]
# Of `cache_write_tokens`, those that stay in the cache for an hour: a part, which is priced by itself.
KEPT_LONG = "cache_write_1h_tokens"
Quantities = dict[str, int]


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of request and reply.

    `limits` are the members of a request that may state its output limit, as paths; the first is set where none is
    given. `times` are those that multiply the output. `usage_in` finds usage in a reply or in an event of a stream, and
    `is_final` tells whether the event's usage is that of the whole call. `text_in` is what the model wrote there.
    `knows` tells whether a reply or an event is one of the provider's: any other one is text of somebody else's form.
    `usage_name` is the member that usage is given as.
    """

    key: str
    quantities_of: Callable[[Facts], Quantities | None]
    usage_in: Callable[[Facts], Any]
    is_final: Callable[[Facts], bool]
    text_in: Callable[[Facts], Any]
    knows: Callable[[Facts], bool] = lambda _: True
    usage_name: str = "usage"
    limits: tuple[tuple[str, ...], ...] = ()
    times: tuple[tuple[str, ...], ...] = ()
    asks_for_usage: bool = False


def facts_of(value: Any) -> Facts:
    """Return a JSON object, or an empty one in the place of anything else."""
    return value if isinstance(value, dict) else {}


def _counts(usage: Facts, *names: str) -> list[int] | None:
    """Return the named numbers, or None where one of them cannot be a number."""
    counts = [count_of(usage.get(name)) for name in names]
    found = [count for count in counts if count is not None]
    return found if len(found) == len(counts) else None


def _split(whole: int, **parts: int) -> Quantities:
    """Give each part its own property, and the last-named `rest` what is left of the whole."""
    left, quantities = whole, {}
    for name, part in parts.items():
        quantities[name] = min(part, left)
        left -= quantities[name]
    return {"": left, **quantities}


def _tokens(into: Quantities, out: Quantities) -> Quantities:
    """Join both sides; tokens of a special pool are stated only where there are any."""
    special = {name: count for name, count in {**into, **out}.items() if name and count}
    return {"input_tokens": into[""], "output_tokens": out[""], **special}


def _chat(usage: Facts) -> Quantities | None:
    """OpenAI chat completions, Mistral, and embeddings, which have no output."""
    read, written = facts_of(usage.get("prompt_tokens_details")), facts_of(usage.get("completion_tokens_details"))
    totals = _counts(usage, "prompt_tokens", "completion_tokens")
    parts = _counts(read, "cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens")
    made = _counts(written, "reasoning_tokens", "audio_tokens")
    if usage.get("prompt_tokens") is None or totals is None or parts is None or made is None:
        return None
    into = _split(
        totals[0],
        cache_read_tokens=parts[0],
        cache_write_tokens=parts[1],
        audio_input_tokens=parts[2],
        image_input_tokens=parts[3],
    )
    return _tokens(into, _split(totals[1], reasoning_tokens=made[0], audio_output_tokens=made[1]))


def _responses(usage: Facts) -> Quantities | None:
    """OpenAI responses."""
    read, written = facts_of(usage.get("input_tokens_details")), facts_of(usage.get("output_tokens_details"))
    totals = _counts(usage, "input_tokens", "output_tokens")
    parts = _counts(read, "cached_tokens", "cache_write_tokens")
    made = _counts(written, "reasoning_tokens")
    if usage.get("input_tokens") is None or totals is None or parts is None or made is None:
        return None
    into = _split(totals[0], cache_read_tokens=parts[0], cache_write_tokens=parts[1])
    return _tokens(into, _split(totals[1], reasoning_tokens=made[0]))


def _messages(usage: Facts) -> Quantities | None:
    """Anthropic: what a whole message used, and beside it what it took to shorten the conversation before."""
    whole = _message(usage)
    iterations = usage.get("iterations")
    shortened = [
        _message(each)
        for each in (iterations if isinstance(iterations, list) else [])
        if facts_of(each).get("type") == _BESIDE
    ]
    for each in shortened:
        if whole is None or each is None:
            return None
        whole = {name: whole.get(name, 0) + each.get(name, 0) for name in {**whole, **each}}
    return whole


# The iterations whose tokens the numbers of the message leave out; the others are in them already.
_BESIDE = "compaction"


def _message(usage: Facts) -> Quantities | None:
    """Anthropic: input_tokens are those outside of the cache already; output_tokens include thinking."""
    counts = _counts(usage, "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    thought = _counts(facts_of(usage.get("output_tokens_details")), "thinking_tokens")
    kept = _counts(facts_of(usage.get("cache_creation")), "ephemeral_1h_input_tokens")
    if usage.get("input_tokens") is None or counts is None or thought is None or kept is None:
        return None
    into = {"": counts[0], "cache_read_tokens": counts[1], "cache_write_tokens": counts[2]}
    into[KEPT_LONG] = min(kept[0], counts[2])
    return _tokens(into, _split(counts[3], reasoning_tokens=thought[0]))


def _generate(usage: Facts) -> Quantities | None:
    """Gemini: the prompt's count includes cached tokens, thoughts are not in the candidates' count."""
    counts = _counts(
        usage,
        "promptTokenCount",
        "cachedContentTokenCount",
        "toolUsePromptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
    )
    heard, seen = (_modality(usage.get("promptTokensDetails"), kind) for kind in ("AUDIO", "IMAGE"))
    heard_before, seen_before = (_modality(usage.get("cacheTokensDetails"), kind) for kind in ("AUDIO", "IMAGE"))
    spoken = _modality(usage.get("candidatesTokensDetails"), "AUDIO")
    if usage.get("promptTokenCount") is None or counts is None:
        return None
    into = _split(
        counts[0],
        cache_read_tokens=counts[1],
        audio_input_tokens=max(heard - heard_before, 0),
        image_input_tokens=max(seen - seen_before, 0),
    )
    into[""] += counts[2]
    return _tokens(into, {**_split(counts[3], audio_output_tokens=spoken), "reasoning_tokens": counts[4]})


def _embedded(usage: Facts) -> Quantities | None:
    """Embeddings have no output; Google states its own kind of usage."""
    return _generate(usage) if "promptTokenCount" in usage else _chat(usage)


def _modality(details: Any, kind: str) -> int:
    """Return the tokens of one modality; a list that cannot be read tells of none."""
    counts = [facts_of(each) for each in details] if isinstance(details, list) else []
    return sum(count_of(each.get("tokenCount")) or 0 for each in counts if each.get("modality") == kind)


def _pages(usage: Facts) -> Quantities | None:
    """Mistral OCR."""
    pages = _counts(usage, "pages_processed")
    return None if usage.get("pages_processed") is None or pages is None else {"pages": pages[0]}


def _member(name: str) -> Callable[[Facts], Any]:
    return lambda facts: facts.get(name)


def _responses_usage(facts: Facts) -> Any:
    return facts_of(facts.get("response")).get("usage") or facts.get("usage")


def _responses_text(facts: Facts) -> Any:
    kind = facts.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        return facts.get("delta") if kind.endswith(".delta") else None
    return facts.get("output")


def _messages_usage(facts: Facts) -> Any:
    return facts_of(facts.get("message")).get("usage") or facts.get("usage")


def _messages_text(facts: Facts) -> Any:
    return facts.get("delta") if facts.get("type") == "content_block_delta" else facts.get("content")


def _message_end(facts: Facts) -> bool:
    """Tell the last delta, which says why it stopped, from those that only say how far it is."""
    if facts.get("type") == "message_delta":
        return facts_of(facts.get("delta")).get("stop_reason") is not None
    return facts.get("type") == "message"


def _responses_end(facts: Facts) -> bool:
    return facts.get("type") in (None, "response.completed", "response.incomplete", "response.failed")


def _choices_end(facts: Facts) -> bool:
    choices = facts.get("choices")
    listed = choices if isinstance(choices, list) else []
    return not listed or any(facts_of(each).get("finish_reason") for each in listed)


def _candidates_finish(facts: Facts) -> bool:
    candidates = facts.get("candidates")
    blocked = facts_of(facts.get("promptFeedback")).get("blockReason")
    named = candidates if isinstance(candidates, list) else []
    return bool(blocked) or any(facts_of(each).get("finishReason") for each in named)


def _choices_text(facts: Facts) -> Any:
    choices = facts.get("choices")
    return [
        [facts_of(each).get(name) for name in ("message", "delta", "text")]
        for each in (choices if isinstance(choices, list) else [])
    ]


def _candidates_text(facts: Facts) -> Any:
    candidates = facts.get("candidates")
    return [facts_of(each).get("content") for each in (candidates if isinstance(candidates, list) else [])]


def is_failure(facts: Facts) -> bool:
    """Whether a reply or an event says that the provider failed, though its status was a good one."""
    return (
        isinstance(facts.get("error"), dict)
        or facts.get("type") in ("error", "response.failed")
        or facts.get("status") == "failed"
    )


def _has(*names: str) -> Callable[[Facts], bool]:
    """Whether one of some members is there."""
    return lambda facts: any(name in facts for name in ("error", *names))


def _has_type(*beginnings: str) -> Callable[[Facts], bool]:
    """Whether its type, or the kind of the object, begins as the provider's do."""

    def knows(facts: Facts) -> bool:
        kind = facts.get("type") or facts.get("object")
        return "error" in facts or (isinstance(kind, str) and kind.startswith(beginnings))

    return knows


def _always(_: Facts) -> bool:
    return True


_CONFIGS = ("generationConfig", "generation_config")

CHAT = Shape(
    "chat",
    _chat,
    _member("usage"),
    _choices_end,
    _choices_text,
    knows=_has("choices", "usage"),
    limits=(("max_completion_tokens",), ("max_tokens",)),
    times=(("n",),),
    asks_for_usage=True,
)
MISTRAL_CHAT = Shape(
    "mistral_chat",
    _chat,
    _member("usage"),
    _choices_end,
    _choices_text,
    knows=_has("choices", "usage"),
    limits=(("max_tokens",),),
    times=(("n",),),
)
EMBEDDINGS = Shape(
    "embeddings",
    _embedded,
    lambda facts: facts.get("usage") or facts.get("usageMetadata"),
    _always,
    lambda _: None,
)
RESPONSES = Shape(
    "responses",
    _responses,
    _responses_usage,
    _responses_end,
    _responses_text,
    knows=_has_type("response", "error", "keepalive"),
    limits=(("max_output_tokens",),),
)
MESSAGES = Shape(
    "messages",
    _messages,
    _messages_usage,
    _message_end,
    _messages_text,
    knows=_has_type("message", "content_block_", "ping", "error"),
    limits=(("max_tokens",),),
)
GENERATE = Shape(
    "generate",
    _generate,
    _member("usageMetadata"),
    _candidates_finish,
    _candidates_text,
    knows=_has("candidates", "usageMetadata", "promptFeedback", "modelVersion", "responseId"),
    usage_name="usageMetadata",
    # Google's servers read both spellings of each name.
    limits=tuple((config, name) for config in _CONFIGS for name in ("maxOutputTokens", "max_output_tokens")),
    times=tuple((config, name) for config in _CONFIGS for name in ("candidateCount", "candidate_count")),
)
OCR = Shape("ocr", _pages, _member("usage_info"), _always, lambda _: None, usage_name="usage_info")
