"""What one document may ask for."""

import pytest
from graphql import parse

from api.graphql import documents
from api.graphql.documents import DocumentRefusedError, Extent, Known, measure, read_document
from api.graphql.schema import schema

CORE = schema._schema


def test_fields_depth_and_aliases_are_counted_through_fragments() -> None:
    document = parse("query { a { b: c ...F } d } fragment F on T { e { f } }")
    # a, b:c, e, f, d: five fields, three deep (a.e.f), one alias, two roots.
    assert measure(document) == Extent(depth=3, fields=5, aliases=1, roots=2)


def test_nested_fragments_are_measured_once_each() -> None:
    # Each fragment spreads the next one twice: spread out there are 2^40 fields, measured in 40 steps.
    fragments = " ".join(f"fragment F{n} on T {{ ...F{n + 1} ...F{n + 1} }}" for n in range(40))
    document = parse(f"query {{ ...F0 }} {fragments} fragment F40 on T {{ a }}")
    assert measure(document).fields == 2**40


def test_a_fragment_that_spreads_itself_ends() -> None:
    assert measure(parse("query { ...F } fragment F on T { a ...F }")).fields == 1


def test_a_fragment_that_is_not_used_is_measured_too() -> None:
    assert measure(parse("query { a } fragment F on T { b c d }")).fields == 3


def test_what_nests_too_deeply_for_the_parser_is_refused() -> None:
    chain = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(480))
    with pytest.raises(DocumentRefusedError):
        read_document(CORE, f"{{ ...F0 }} {chain} fragment F480 on Query {{ viewer {{ kind }} }}")


def test_a_good_document_is_parsed_once_and_a_bad_one_is_not_kept() -> None:
    text = "{ viewer { kind } } # only here"
    assert read_document(CORE, text) is read_document(CORE, text)
    before = len(documents._known)
    for _ in range(2):
        with pytest.raises(DocumentRefusedError) as refused:
            read_document(CORE, "{ viewer { shoeSize } }")
        assert refused.value.errors[0].extensions == {"code": "graphql_invalid"}
    assert len(documents._known) == before


def test_documents_are_kept_up_to_a_count_and_a_length_of_their_texts() -> None:
    known = Known(count_max=3, length_max=10)
    document = parse("{ a }")
    for text in ("aa", "bb", "cc"):
        known.keep(CORE, text, document)
    assert known.find(CORE, "aa") is document
    known.keep(CORE, "dd", document)
    # "bb" was not asked for longest.
    assert [known.find(CORE, text) is document for text in ("aa", "bb", "cc", "dd")] == [True, False, True, True]
    known.keep(CORE, "e" * 7, document)
    # 6 and 7 characters are too many: "aa" and "cc" go.
    assert (len(known), known.length) == (2, 9)
    known.keep(CORE, "f" * 50, document)
    assert (len(known), known.length) == (1, 50)


def test_no_more_than_ten_faults_are_told() -> None:
    with pytest.raises(DocumentRefusedError) as refused:
        read_document(CORE, "{ viewer { " + " ".join(f"shoe{n}" for n in range(50)) + " } }")
    assert len(refused.value.errors) <= documents.FAULTS_TOLD_MAX + 1
