"""Matrix: a unit amount chosen by the values of the meter's dimensions, such as provider, model and token pool.

{"cells": [{"when": {"provider": "gemini", "model": "gemini-2.5-pro"}, "unit_amount": "0.02"},
           {"when": {"provider": "gemini"}, "unit_amount": "0.01"}],
 "default_unit_amount": "0.03"}
The first cell whose values all match prices a combination, else the default does: nothing goes unpriced.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.kernel.money import exact_text
from domain.plans.charge import ZERO, Charge, Measured
from domain.plans.exact import DefinitionRefused, decimal_at, exact, only_keys

CELLS_MAX = 1_000


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse a matrix without a default, and a cell that no combination could reach."""
    only_keys(definition, frozenset({"cells", "default_unit_amount"}), path)
    decimal_at(definition, "default_unit_amount", path)
    cells, where = definition.get("cells"), f"{path}.cells"
    if not isinstance(cells, list) or not 1 <= len(cells) <= CELLS_MAX:
        raise DefinitionRefused(where, f"is not a list of 1 to {CELLS_MAX} cells")
    seen: list[frozenset[tuple[str, str]]] = []
    for index, cell in enumerate(cells):
        when = _check_cell(cell, f"{where}[{index}]")
        if any(before <= when for before in seen):
            raise DefinitionRefused(f"{where}[{index}].when", "is never reached: a cell before it takes all of it")
        seen.append(when)


def _check_cell(cell: Any, path: str) -> frozenset[tuple[str, str]]:
    if not isinstance(cell, dict):
        raise DefinitionRefused(path, "is not a cell")
    only_keys(cell, frozenset({"when", "unit_amount"}), path)
    decimal_at(cell, "unit_amount", path)
    when = cell.get("when")
    if not isinstance(when, dict) or not when or not all(isinstance(value, str) for value in when.values()):
        raise DefinitionRefused(f"{path}.when", "does not map at least one dimension to a text")
    return frozenset(when.items())


def check_dimensions(definition: Mapping[str, Any], dimensions: Sequence[str], path: str) -> None:
    """Refuse a cell on something that is no dimension of the meter."""
    for index, cell in enumerate(definition["cells"]):
        for name in cell["when"]:
            if name not in dimensions:
                raise DefinitionRefused(f"{path}.cells[{index}].when.{name}", "is not a dimension of the meter")


def rate(definition: Mapping[str, Any], measured: Measured) -> Charge:
    """Price each combination by its cell; a combination below zero bills zero."""
    amount, priced = ZERO, []
    for values, quantity in measured.combinations:
        unit_amount = _unit_amount(definition, values)
        part = max(quantity, ZERO) * exact(unit_amount)
        priced.append(
            {
                "values": dict(values),
                "quantity": exact_text(quantity),
                "unit_amount": unit_amount,
                "amount": exact_text(part),
            }
        )
        amount += part
    derivation = {
        "model": "matrix",
        "quantity": exact_text(measured.quantity),
        "cells": priced,
        "subtotal": exact_text(amount),
    }
    return Charge(amount, derivation)


def _unit_amount(definition: Mapping[str, Any], values: Mapping[str, str]) -> str:
    for cell in definition["cells"]:
        if cell["when"].items() <= values.items():
            found: str = cell["unit_amount"]
            return found
    default: str = definition["default_unit_amount"]
    return default
