"""Documents: measured, parsed and validated once each, then remembered.

The library's own limiters cost time exponential in nested fragments, and its validation time quadratic in repeated
fields: here every fragment is visited once, and only what is within the bounds is validated.
"""

from collections import OrderedDict
from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from graphql.language import Visitor, visit
from strawberry.extensions import SchemaExtension

from domain.kernel.values import dataclass

LENGTH_MAX = 50_000
TOKENS_MAX = 4_000
DEPTH_MAX = 16
FIELDS_MAX = 500
ALIASES_MAX = 50
ROOT_FIELDS_MAX = 20
DOCUMENTS_KEPT = 500
# Characters of all documents that are kept. Parsed, one takes up to 175 bytes a character: less than 100 MB in all.
LENGTH_KEPT_MAX = 500_000
FAULTS_TOLD_MAX = 10

TOO_LARGE = "query_too_large"
INVALID = "graphql_invalid"


class DocumentRefusedError(Exception):
    """A document cannot be executed, for these reasons; each has a code."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__("the document is refused")
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a selection is with all its fragments spread out."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    roots: int = 0


def measure(document: DocumentNode) -> Extent:
    """Return the largest extent over a document's operations and fragments, also those that are not used.

    Fields of introspection count like others.
    """
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    known: dict[str, Extent] = {}
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    extents = [_extent(node.selection_set, fragments, known) for node in operations]
    extents += [_spread(name, fragments, known) for name in fragments]
    return Extent(
        max((extent.depth for extent in extents), default=0),
        max((extent.fields for extent in extents), default=0),
        max((extent.aliases for extent in extents), default=0),
        max((extent.roots for extent in extents[: len(operations)]), default=0),
    )


def _extent(
    selections: SelectionSetNode | None, fragments: dict[str, FragmentDefinitionNode], known: dict[str, Extent]
) -> Extent:
    depth = fields = aliases = roots = 0
    for node in selections.selections if selections else ():
        if isinstance(node, FieldNode):
            inner = _extent(node.selection_set, fragments, known)
            part = Extent(inner.depth + 1, inner.fields + 1, inner.aliases + (node.alias is not None), 1)
        elif isinstance(node, InlineFragmentNode):
            part = _extent(node.selection_set, fragments, known)
        else:
            assert isinstance(node, FragmentSpreadNode), "a selection is one of three"
            part = _spread(node.name.value, fragments, known)
        depth = max(depth, part.depth)
        fields, aliases, roots = fields + part.fields, aliases + part.aliases, roots + part.roots
    return Extent(depth, fields, aliases, roots)


def _spread(name: str, fragments: dict[str, FragmentDefinitionNode], known: dict[str, Extent]) -> Extent:
    if name not in known:
        # A fragment that spreads itself is refused by validation; here it counts once and ends.
        known[name] = Extent()
        if name in fragments:
            known[name] = _extent(fragments[name].selection_set, fragments, known)
    return known[name]


def read_document(schema: GraphQLSchema, text: str) -> DocumentNode:
    """Return a document that is within every bound and valid. Raises DocumentRefusedError."""
    if len(text) > LENGTH_MAX:
        raise DocumentRefusedError(_fault(f"A document has at most {LENGTH_MAX} characters.", TOO_LARGE))
    try:
        return _read(schema, text)
    except RecursionError:
        raise DocumentRefusedError(_fault("The document is nested too deeply.", TOO_LARGE)) from None


def _read(schema: GraphQLSchema, text: str) -> DocumentNode:
    """Read a document; those that are refused are not remembered."""
    known = _known.find(schema, text)
    if known is not None:
        return known
    try:
        document = parse(text, max_tokens=TOKENS_MAX)
    except GraphQLError as error:
        raise DocumentRefusedError(_coded(error)) from None
    faults = [*_faults_of_size(measure(document)), *_faults_of_text(document)]
    faults = faults or [_coded(error) for error in validate(schema, document, specified_rules, FAULTS_TOLD_MAX)]
    if faults:
        raise DocumentRefusedError(*faults)
    _known.keep(schema, text, document)
    return document


class Known:
    """The documents that were read last, as many as two bounds allow: a count, and the length of their texts."""

    def __init__(self, count_max: int = DOCUMENTS_KEPT, length_max: int = LENGTH_KEPT_MAX) -> None:
        """Know none yet."""
        self._count_max, self._length_max = count_max, length_max
        self._documents: OrderedDict[tuple[GraphQLSchema, str], DocumentNode] = OrderedDict()
        self.length = 0

    def __len__(self) -> int:
        return len(self._documents)

    def find(self, schema: GraphQLSchema, text: str) -> DocumentNode | None:
        """Return what a text was read as, or None."""
        found = self._documents.get((schema, text))
        if found is not None:
            self._documents.move_to_end((schema, text))
        return found

    def keep(self, schema: GraphQLSchema, text: str, document: DocumentNode) -> None:
        """Remember a document that is not known, and forget those that were not asked for longest."""
        self._documents[schema, text] = document
        self.length += len(text)
        while len(self) > self._count_max or (self.length > self._length_max and len(self) > 1):
            (_, forgotten), _ = self._documents.popitem(last=False)
            self.length -= len(forgotten)


_known = Known()


def check_operation(schema: GraphQLSchema, text: str, name: str | None, *, is_socket: bool) -> None:
    """Refuse a document, or the choice of an operation in it, that cannot be executed. Raises DocumentRefusedError."""
    operation = get_operation_ast(read_document(schema, text), name)
    if operation is None:
        raise DocumentRefusedError(_fault("Name one of the document's operations in `operationName`.", INVALID))
    if operation.operation is OperationType.SUBSCRIPTION and not is_socket:
        raise DocumentRefusedError(_fault("Live data needs a websocket: graphql-transport-ws at /graphql.", INVALID))


def _faults_of_size(extent: Extent) -> Iterator[GraphQLError]:
    for what, found, bound in (
        ("depth", extent.depth, DEPTH_MAX),
        ("number of fields", extent.fields, FIELDS_MAX),
        ("number of aliases", extent.aliases, ALIASES_MAX),
        ("number of root fields", extent.roots, ROOT_FIELDS_MAX),
    ):
        if found > bound:
            yield _fault(f"The document's {what} passes its bound of {bound}. Split it.", TOO_LARGE)


class _Texts(Visitor):
    """Looks for texts that cannot be stored."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[GraphQLError] = []

    def enter_string_value(self, node: StringValueNode, *_: object) -> None:
        """Note a text with a NUL; the lexer has refused half surrogate pairs."""
        if "\0" in node.value:
            self.faults.append(GraphQLError("A text may not hold NUL.", [node], extensions={"code": INVALID}))


def _faults_of_text(document: DocumentNode) -> list[GraphQLError]:
    texts = _Texts()
    visit(document, texts)
    return texts.faults[:FAULTS_TOLD_MAX]


def _fault(message: str, code: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})


def _coded(error: GraphQLError) -> GraphQLError:
    error.extensions = {**(error.extensions or {}), "code": INVALID}
    return error


class KnownDocuments(SchemaExtension):
    """Hand the document that the view has checked to the library, which then neither parses nor validates it."""

    def on_parse(self) -> Iterator[None]:
        """Take the parsed document."""
        context = self.execution_context
        assert context.query is not None, "the view has read it"
        context.graphql_document = read_document(context.schema._schema, context.query)  # noqa: SLF001 -- no other way
        yield

    def on_validate(self) -> Iterator[None]:
        """Say that there is nothing to complain about."""
        self.execution_context.pre_execution_errors = []
        yield
