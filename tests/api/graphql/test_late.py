"""The classes of the schema are finished when the first of their objects is made."""

import strawberry

from api.graphql.late import finish_late
from domain.kernel import values

finish_late()


@strawberry.input
class Wish:
    """An input with a default and a text that may be left out."""

    count: int = 1
    text: str | None = strawberry.UNSET
    words: list[str] = strawberry.field(default_factory=list, description="Words")


@strawberry.type
class Answer:
    """A type with a field that is resolved."""

    number: int

    @strawberry.field
    def double(self) -> int:
        """Double the number."""
        return self.number * 2


def test_strawberry_makes_classes_whose_methods_come_with_the_first_object() -> None:
    assert Answer.__init__.__code__.co_filename == values.__file__

    assert Answer(number=2) == Answer(number=2)
    assert Answer.__init__.__code__.co_filename == "<string>"


def test_inputs_have_their_defaults() -> None:
    wish = Wish()

    assert (wish.count, wish.text, wish.words) == (1, strawberry.UNSET, [])
    assert repr(Wish(count=2, text="t")) == "Wish(count=2, text='t', words=[])"


async def test_types_and_inputs_serve_a_schema() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def answer(self, wish: Wish) -> Answer:
            return Answer(number=wish.count + len(wish.words))

    asked = await strawberry.Schema(Query).execute('{ answer(wish: {words: ["a", "b"]}) { number double } }')

    assert (asked.data, asked.errors) == ({"answer": {"number": 3, "double": 6}}, None)
