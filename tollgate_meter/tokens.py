"""Count tokens without a tokenizer: never too few for a hold, and about right for a record."""

from collections.abc import Collection
from typing import Any

# A reported number above this is no number of tokens: no model reads or writes a hundredth of it in one call.
COUNT_MAX = 100_000_000
# English prose and code have three to four ASCII characters a token in every provider's tokenizer.
ASCII_PER_TOKEN = 4
DEPTH_MAX = 32
# Members of a request or a reply that are names, or that are read by the provider alone, and not text.
NAMES = frozenset(
    (
        "type",
        "role",
        "id",
        "model",
        "object",
        "status",
        "finish_reason",
        "index",
        "signature",
        "encrypted_content",
        "thoughtSignature",
        "thought_signature",
    )
)
# Members that hold what is seen or heard: encoded, or by its address.
MEDIA = frozenset(("image_url", "input_audio", "source", "inlineData", "inline_data", "audio"))
# About what a picture counts; it goes by the measures of the picture, which are not known here, and not by its bytes.
PICTURE_TOKENS_ABOUT = 1_600
# Speech has about 20 tokens a second: with so many encoded characters a token, that is a recording of 30 kbit/s.
SOUND_PER_TOKEN = 256
_SEEN, _HEARD = "image/", ("audio/", "video/")


def tokens_at_most(body: bytes) -> int:
    """Return what a text cannot exceed: tokenizers work on bytes, so a token has at least one of them."""
    return len(body)


def tokens_about(text: str) -> int:
    """Return about how many tokens a text has: four ASCII characters, or one other, are one."""
    ascii_count = len(text) if text.isascii() else sum(character < "\x80" for character in text)
    return -(-ascii_count // ASCII_PER_TOKEN) + len(text) - ascii_count


def tokens_within(value: Any, skipped: Collection[str] = NAMES, depth: int = 0) -> int:
    """Return about how many tokens the texts of a JSON value have; members named in `skipped` are left out."""
    if isinstance(value, str):
        return tokens_about(value)
    if depth == DEPTH_MAX:
        return 0
    if isinstance(value, dict):
        return sum(
            _media_within(key, each, skipped, depth + 1) if key in MEDIA else tokens_within(each, skipped, depth + 1)
            for key, each in value.items()
            if key not in skipped
        )
    if isinstance(value, list):
        return sum(tokens_within(each, skipped, depth + 1) for each in value)
    return 0


def _media_within(name: str, value: Any, skipped: Collection[str], depth: int) -> int:
    found = _media(name, value)
    return tokens_within(value, skipped, depth) if found is None else found


def _media(name: str, value: Any) -> int | None:
    """Return about how many tokens a picture or a sound has, or None for what may be text, such as a document."""
    facts = value if isinstance(value, dict) else {"url": value}
    data, url = facts.get("data"), facts.get("url")
    if isinstance(data, str):
        kind = facts.get("media_type") or facts.get("mimeType") or facts.get("mime_type") or ""
        if str(kind).startswith(_SEEN):
            return PICTURE_TOKENS_ABOUT
        is_heard = str(kind).startswith(_HEARD) or name in {"input_audio", "audio"}
        return -(-len(data) // SOUND_PER_TOKEN) + tokens_within(facts.get("transcript")) if is_heard else None
    return PICTURE_TOKENS_ABOUT if name == "image_url" and isinstance(url, str) else None


def count_of(value: Any) -> int | None:
    """Return a reported number, 0 for one that is left out, or None for what cannot be one."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= COUNT_MAX:
        return None
    return value
