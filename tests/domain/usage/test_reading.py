"""The split of a meter by combination: made once, and only when somebody looks at it."""

from decimal import Decimal

from domain.usage.reading import Combination, Split

FRA, IAD = Combination({"region": "fra"}, Decimal(2), 1), Combination({"region": "iad"}, Decimal(3), 4)


def test_a_split_is_made_once_and_only_when_it_is_looked_at() -> None:
    made: list[str] = []

    def make(of: str) -> list[Combination]:
        made.append(of)
        return [FRA, IAD]

    split = Split(make, "rows")
    assert not made
    assert (len(split), split[0], split[-1], list(split)) == (2, FRA, IAD, [FRA, IAD])
    assert split[:1] == (FRA,)
    assert made == ["rows"]


def test_a_split_equals_any_sequence_of_the_same_combinations() -> None:
    split = Split(tuple[Combination, ...], [FRA, IAD])
    assert split == (FRA, IAD) == Split(list[Combination], (FRA, IAD))
    assert split != (IAD, FRA)
    assert split != 2
