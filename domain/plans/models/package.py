"""Package: after the free units, an amount for every package that was started.

{"package_size": "1000", "package_amount": "5", "free_units": "100"}
"""

import math
from collections.abc import Mapping
from typing import Any

from domain.kernel.money import exact_text
from domain.plans.charge import ZERO, Charge, Measured
from domain.plans.exact import DefinitionRefused, decimal_at, exact, only_keys


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse a package that holds nothing, and anything but an amount >= 0 and, optionally, free units >= 0."""
    only_keys(definition, frozenset({"package_size", "package_amount", "free_units"}), path)
    if decimal_at(definition, "package_size", path) == 0:
        raise DefinitionRefused(f"{path}.package_size", "is 0: the package would hold no unit")
    decimal_at(definition, "package_amount", path)
    if "free_units" in definition:
        decimal_at(definition, "free_units", path)


def rate(definition: Mapping[str, Any], measured: Measured) -> Charge:
    """Charge each started package whole."""
    free = definition.get("free_units", "0")
    packages = math.ceil(max(measured.quantity - exact(free), ZERO) / exact(definition["package_size"]))
    amount = packages * exact(definition["package_amount"])
    derivation = {
        "model": "package",
        "quantity": exact_text(measured.quantity),
        "free_units": free,
        "package_size": definition["package_size"],
        "packages": str(packages),
        "package_amount": definition["package_amount"],
        "subtotal": exact_text(amount),
    }
    return Charge(amount, derivation)
