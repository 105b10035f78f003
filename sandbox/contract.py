"""Check a request's parameters against the contract and turn their text into values.

Refuses, in Stripe's error shape, unknown and missing parameters, wrong types and words outside a closed set.
"""

import re
from decimal import Decimal
from typing import Any, NoReturn

from sandbox.contract_shapes import Choice, Listed, Mapped, OneOf, Scalar, Shape, Spec
from sandbox.errors import malformed

INTEGER = re.compile(r"^-?\d{1,18}$")
INDEX = re.compile(r"^[0-9]{1,9}$")
DECIMAL = re.compile(r"^-?\d{1,18}(\.\d{1,12})?$")
WORDS_SHOWN = 25


def check(given: dict[str, Any], shape: Shape, prefix: str = "") -> dict[str, Any]:
    """Turn decoded form fields into typed values. Raises StripeError for the first fault found.

    Whole numbers become int, decimals Decimal, `true` and `false` bool, arrays lists. The empty string stays where it
    unsets a parameter.
    """
    for name in given:
        if name not in shape.fields:
            path = _path(prefix, name)
            raise malformed(f"Received unknown parameter: {path}", code="parameter_unknown", param=path)
    for name, (_, required) in shape.fields.items():
        if required and name not in given:
            path = _path(prefix, name)
            raise malformed(f"Missing required param: {path}.", code="parameter_missing", param=path)
    return {name: _value(value, shape.fields[name][0], _path(prefix, name)) for name, value in given.items()}


def _path(prefix: str, name: str) -> str:
    return f"{prefix}[{name}]" if prefix else name


def _value(given: Any, spec: Spec, path: str) -> Any:
    if isinstance(spec, OneOf):
        return _value(given, _pick(given, spec), path)
    if isinstance(spec, Scalar | Choice):
        return _scalar(given, spec, path)
    if not isinstance(given, dict):
        return _not_an_object(given, spec, path)
    if isinstance(spec, Shape):
        return check(given, spec, path)
    if isinstance(spec, Mapped):
        return {name: _value(value, spec.of, _path(path, name)) for name, value in given.items()}
    return _array(given, spec, path)


def _array(given: dict[str, Any], spec: Listed, path: str) -> list[Any]:
    if not all(INDEX.match(key) for key in given):
        raise malformed(f"Invalid array: {path} must be an array", param=path)
    return [_value(given[key], spec.of, _path(path, key)) for key in sorted(given, key=int)]


def _not_an_object(given: str, spec: Spec, path: str) -> NoReturn:
    if given == "":
        _refuse_empty(path)
    raise malformed(f"Invalid {'array' if isinstance(spec, Listed) else 'object'}: {path}", param=path)


def _refuse_empty(path: str) -> NoReturn:
    raise malformed(
        f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a parameter; "
        f"however '{path}' cannot be unset. You should remove '{path}' from your request or supply a non-empty value.",
        code="parameter_invalid_empty",
        param=path,
    )


def _pick(given: Any, spec: OneOf) -> Spec:
    """Choose the alternative that fits the form of the value; its own check then says what is wrong with it."""
    if isinstance(given, dict):
        nested: list[Spec] = [option for option in spec.options if isinstance(option, Shape | Mapped | Listed)]
        fitting = [option for option in nested if _fits_object(given, option)]
        return next(iter(fitting or nested or spec.options))
    scalars = [option for option in spec.options if isinstance(option, Scalar | Choice)]
    readable: list[Spec] = [option for option in scalars if _read(given, option) is not None]
    return next(iter([*readable, *scalars[::-1], *spec.options]))


def _fits_object(given: dict[str, Any], option: Spec) -> bool:
    if isinstance(option, Shape):
        return set(given) <= set(option.fields)
    return isinstance(option, Mapped) or all(INDEX.match(key) for key in given)


def _scalar(given: Any, spec: Scalar | Choice, path: str) -> Any:
    if isinstance(given, dict):
        raise malformed(f"Invalid string: {path} must be a single value, not an object", param=path)
    value = _read(given, spec)
    if value is not None:
        return value
    if given == "":
        _refuse_empty(path)
    if isinstance(spec, Choice):
        shown = ", ".join(word for word in spec.words[:WORDS_SHOWN] if word)
        raise malformed(f"Invalid {path}: must be one of {shown}", param=path)
    kind = {"int": "integer", "bool": "boolean"}.get(spec.kind, "decimal")
    code = "parameter_invalid_integer" if kind == "integer" else None
    raise malformed(f"Invalid {kind}: {given}", code=code, param=path)


def _read(given: str, spec: Scalar | Choice) -> Any:
    """Read one value as its spec says; None when it does not fit."""
    if isinstance(spec, Choice):
        return given if given in spec.words else None
    if spec.kind == "int":
        return int(given) if INTEGER.match(given) else None
    if spec.kind == "bool":
        return {"true": True, "false": False}.get(given)
    if spec.kind in {"float", "Decimal"}:
        return Decimal(given) if DECIMAL.match(given) else None
    return given
