"""A tax calculator in memory, for tests: one rate for everything, answers that can be lost, and keys it remembers."""

from decimal import Decimal
from fractions import Fraction

from domain.customers.profiles.profile import TaxStatus
from domain.invoices.tax import NoTax, Rate
from domain.invoices.taxing.port import AskedGroup, TaxAnswer, TaxQuestion, TaxShare, TaxUnavailable
from domain.kernel.money import round_half_up


class MemoryTax:
    """Takes `percent` of everything in every country. `fails` holds how often it does not answer yet."""

    def __init__(self, percent: str = "10") -> None:
        """Be asked nothing yet."""
        self.percent = percent
        self.fails = 0
        self.asked: list[tuple[str, TaxQuestion]] = []
        self._answers: dict[str, tuple[TaxQuestion, TaxAnswer]] = {}

    async def calculate(self, question: TaxQuestion, *, key: str) -> TaxAnswer:
        """Answer, and repeat the answer for the same key; the same key for something else is a programmer error."""
        self.asked.append((key, question))
        if key in self._answers:
            assert self._answers[key][0] == question, "a key is repeated with the same question"
            return self._answers[key][1]
        answer = TaxAnswer(
            f"memory_{len(self._answers) + 1}", tuple([self._share(question, group)] for group in question.groups)
        )
        self._answers[key] = question, answer
        if self.fails:
            self.fails -= 1
            raise TaxUnavailable("timeout")
        return answer

    async def close(self) -> None:
        """Hold nothing."""

    def _share(self, question: TaxQuestion, group: AskedGroup) -> TaxShare:
        if question.status is not TaxStatus.TAXABLE:
            return TaxShare(NoTax(question.status.value), group.amount_minor, 0)
        rate = Rate("Sales tax", Decimal(self.percent), country=question.address.country)
        return TaxShare(rate, group.amount_minor, round_half_up(group.amount_minor * Fraction(rate.percent) / 100))
