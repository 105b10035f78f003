"""From a draft to a question about its taxes, and from the answer back to its lines."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.customers.profiles.profile import Profile
from domain.invoices.invoice import Invoice, Line
from domain.invoices.tax import NoTax, Rate, spread
from domain.invoices.taxing.port import AskedGroup, TaxAnswer, TaxQuestion, TaxShare
from domain.invoices.taxing.statement import TaxStatement
from domain.invoices.taxing.treatment import TaxSource
from domain.kernel.ids import LineId

Codes = Mapping[LineId, str | None]


def question_of(draft: Invoice, lines: Sequence[Line], codes: Codes, profile: Profile, at: datetime) -> TaxQuestion:
    """Ask for the taxes of a draft if it were issued at an instant: one amount for each tax code, discounts taken."""
    groups = [
        AskedGroup(code, sum(line.taxable.minor for line in found)) for code, found in _groups(lines, codes).items()
    ]
    return TaxQuestion(
        environment=draft.environment,
        currency=draft.currency,
        groups=tuple(groups),
        address=profile.address,
        vat_number=profile.vat_number,
        status=profile.status,
        at=at,
    )


def question_text(question: TaxQuestion) -> str:
    """Write all that an answer depends on: an answer holds for the same text, and for the same day."""
    address = question.address
    facts = [
        question.environment,
        question.currency,
        [[group.tax_code, group.amount_minor] for group in question.groups],
        [*address.parts, address.region, address.country],
        question.vat_number,
        question.status,
        question.at.date().isoformat(),
    ]
    return json.dumps(facts, separators=(",", ":"))


def statements_of_answer(answer: TaxAnswer, lines: Sequence[Line], codes: Codes) -> list[TaxStatement]:
    """State the taxes of an answer: the same rate of several groups is one; each tax is spread over its group."""
    shares = list(zip(answer.groups, _groups(lines, codes).values(), strict=True))
    found: dict[Rate | NoTax, tuple[int, int, dict[LineId, int]]] = {}
    for taxes, group in shares:
        amounts = [line.taxable.minor for line in group]
        for share in taxes:
            base, tax, parts = found.get(share.stated, (0, 0, {}))
            for line, part in zip(group, spread(share.tax_minor, amounts), strict=True):
                parts[line.id] = parts.get(line.id, 0) + part
            found[share.stated] = base + share.base_minor, tax + share.tax_minor, parts
    return [TaxStatement(stated, base, tax, TaxSource.STRIPE, parts) for stated, (base, tax, parts) in found.items()]


def answer_json(answer: TaxAnswer) -> dict[str, Any]:
    """Write an answer as it is stored."""
    return {
        "reference": answer.reference,
        "groups": [[_share_json(share) for share in group] for group in answer.groups],
    }


def answer_of(stored: dict[str, Any]) -> TaxAnswer:
    """Read a stored answer."""
    return TaxAnswer(stored["reference"], tuple([_share(each) for each in group] for group in stored["groups"]))


def _groups(lines: Sequence[Line], codes: Codes) -> dict[str | None, list[Line]]:
    found: dict[str | None, list[Line]] = defaultdict(list)
    for line in sorted(lines, key=lambda line: (codes.get(line.id) or "", line.id)):
        found[codes.get(line.id)].append(line)
    return dict(found)


def _share_json(share: TaxShare) -> dict[str, Any]:
    stated = share.stated
    if isinstance(stated, NoTax):
        return {"reason": stated, "base": share.base_minor, "tax": share.tax_minor}
    rate = {"name": stated.name, "percent": str(stated.percent), "country": stated.country, "region": stated.region}
    return {**rate, "base": share.base_minor, "tax": share.tax_minor}


def _share(stored: dict[str, Any]) -> TaxShare:
    if "reason" in stored:
        return TaxShare(NoTax(stored["reason"]), stored["base"], stored["tax"])
    rate = Rate(
        stored["name"], Decimal(stored["percent"]), inclusive=False, country=stored["country"], region=stored["region"]
    )
    return TaxShare(rate, stored["base"], stored["tax"])
