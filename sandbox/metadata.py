"""Metadata: up to 50 free pairs on most objects, within Stripe's published bounds."""

from collections.abc import Mapping
from typing import Any

from sandbox.errors import invalid

PAIRS_MAX = 50
KEY_MAX = 40
VALUE_MAX = 500


def merged(before: Mapping[str, str], given: Any) -> dict[str, str]:
    """Apply given pairs to what there is; an empty value removes one pair, an empty string all of them."""
    if not given:
        return dict(before) if given is None else {}
    after = {**before, **given}
    for key, value in after.items():
        if len(key) > KEY_MAX:
            raise invalid(f"Metadata key names can be up to {KEY_MAX} characters long.", param="metadata")
        if len(value) > VALUE_MAX:
            raise invalid(f"Metadata values can have up to {VALUE_MAX} characters.", param=f"metadata[{key}]")
    after = {key: value for key, value in after.items() if value != ""}
    if len(after) > PAIRS_MAX:
        raise invalid(f"You can set at most {PAIRS_MAX} metadata keys on an object.", param="metadata")
    return after
