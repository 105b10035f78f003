"""Identifiers in Stripe's form: a prefix that names the object, then 24 random letters and digits."""

import secrets
import string

ALPHABET = string.ascii_letters + string.digits
LENGTH = 24


def new(prefix: str) -> str:
    """Draw an id such as `in_4xH…`; it never repeats in practice (142 bits)."""
    return f"{prefix}_{letters(LENGTH)}"


def letters(count: int) -> str:
    """Draw random letters and digits from the system's secure source."""
    return "".join(secrets.choice(ALPHABET) for _ in range(count))


def client_secret(owner: str) -> str:
    """Draw the secret with which a browser may confirm the intent `owner`."""
    return f"{owner}_secret_{letters(LENGTH)}"
