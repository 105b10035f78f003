"""The rules of this tree that no other tool knows; each message names the file, the fault and the cure.

A rule is a function from sources to faults. Every rule is run over the tree, and over a bad example that it must
refuse. Complexity (at most 8) is ruff's C901 and the order of imports is import-linter's: neither is repeated here.
"""

import ast
import gc
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("api", "domain", "workers", "migrations", "tollgate_meter", "sandbox")
FUNCTION_LINES_MAX = 50
MODULE_LINES_MAX = 400
VAGUE_NAMES = ("utils", "util", "helpers", "helper", "common", "base", "manager", "misc")
PLUMBING = ("store.py", "service.py", "port.py", "__init__.py")
IMPURE_PARTS_OF_DOMAIN = ("adapters", "runtime.py", "config.py", "db.py", "statement.py", "__init__.py")
ENTRY_POINTS = ("__init__", "__main__", "cli", "app")
READING = re.compile(r"(get|find|list|count|sum)_\w+|\w+_by_ids?|[A-Z]\w*")
TEXT_SUFFIXES = (
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".graphql",
    ".html",
    ".jinja",
    ".json",
    ".yml",
    ".ts",
    ".tsx",
    ".mako",
    "",
)
SKIPPED_FOLDERS = ("node_modules", "build", "dist", "__pycache__", "tollgate.egg-info")
FOREIGN_PATH = re.compile(r"(?<![\w.})-])/(?:work|root|home|Users|tmp|mnt)/[\w.-]+|\.\./(?:shared)\b")
REGISTRY_HOST = re.compile(r"\b(?:pypi\.(?:org)|files\.python(?:hosted)|registry\.(?:npmjs))")


@dataclass(frozen=True)
class Source:
    """A text file by its path inside the repository; the tree is that of a Python file."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed module."""
        return ast.parse(self.text, self.path)

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders of the path, and the file's name last."""
        return PurePosixPath(self.path).parts

    @property
    def module(self) -> str:
        """The dotted name under which the file is imported."""
        return ".".join(PurePosixPath(self.path).with_suffix("").parts).removesuffix(".__init__")

    @property
    def is_pure(self) -> bool:
        """Whether the file may hold rules only: everything in a slice of domain but its plumbing."""
        if self.parts[0] != "domain" or len(self.parts) == 1:
            return False
        return self.parts[1] not in IMPURE_PARTS_OF_DOMAIN and self.parts[-1] not in PLUMBING


Rule = Callable[[Sequence[Source]], Iterator[str]]


def functions_are_short(sources: Sequence[Source]) -> Iterator[str]:
    """Bound the lines of a function."""
    for source in python(sources):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    where = f"{source.path}:{node.lineno} {node.name}"
                    yield f"{where} has {lines} lines; split it below {FUNCTION_LINES_MAX}"


def modules_are_short(sources: Sequence[Source]) -> Iterator[str]:
    """Bound the lines of a module."""
    for source in python(sources):
        lines = len(source.text.splitlines())
        if lines > MODULE_LINES_MAX:
            yield f"{source.path} has {lines} lines; split it below {MODULE_LINES_MAX}"


def modules_say_what_they_are(sources: Sequence[Source]) -> Iterator[str]:
    """Ask every module for a docstring."""
    for source in python(sources):
        if not ast.get_docstring(source.tree):
            yield f"{source.path} has no docstring; begin it with one that says what it is for"


def modules_have_telling_names(sources: Sequence[Source]) -> Iterator[str]:
    """Refuse names that could hold anything."""
    for source in python(sources):
        for part in PurePosixPath(source.path).with_suffix("").parts:
            if part in VAGUE_NAMES:
                yield f"{source.path} is named {part}; name it after the noun or the calculation in it"


def pure_files_are_pure(sources: Sequence[Source]) -> Iterator[str]:
    """Refuse async and float in the files that hold rules."""
    for source in python(sources):
        if source.is_pure:
            for node in ast.walk(source.tree):
                fault = impurity(node)
                if fault:
                    yield f"{source.path}:{getattr(node, 'lineno', 0)} {fault}"


def impurity(node: ast.AST) -> str | None:
    """Say what is impure about a node of a pure file, with the cure."""
    match node:
        case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncWith() | ast.AsyncFor():
            return "is async; move the effect to service.py or store.py"
        case ast.Constant(value=float()):
            return f"holds the float {node.value!r}; write Decimal or an integer of a smaller unit"
        case ast.Name(id="float"):
            return "uses float; write Decimal or an integer of a smaller unit"
    return None


def outer_packages_only_read_stores(sources: Sequence[Source]) -> Iterator[str]:
    """Let api and workers call reading functions of a store, and services for the rest."""
    for source in python(sources):
        if source.parts[0] in {"api", "workers"}:
            for line, name in uses_of_stores(source.tree):
                if not READING.fullmatch(name):
                    yield f"{source.path}:{line} uses {name} of a store; call a service that does it"


def uses_of_stores(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Find each name that a module takes from a `domain.….store`, with its line."""
    aliases = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and is_store(node.module or ""):
            yield from ((node.lineno, alias.name) for alias in node.names)
        if isinstance(node, ast.Import | ast.ImportFrom):
            prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            aliases |= {alias.asname or alias.name for alias in node.names if is_store(prefix + alias.name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in aliases:
            yield node.lineno, node.attr


def is_store(module: str) -> bool:
    """Tell whether a dotted name is that of a store."""
    return module.startswith("domain.") and module.endswith(".store")


def every_module_is_used(sources: Sequence[Source]) -> Iterator[str]:
    """Refuse modules that nothing but their own tests imports and nobody can start."""
    imported = set().union(
        *(imports_of(source) for source in python(sources) if not source.parts[-1].startswith("test_"))
    )
    for source in python(sources):
        is_package = source.parts[0] in PACKAGES and source.parts[0] != "migrations"
        if is_package and not can_be_started(source) and source.module not in imported:
            yield f"{source.path} is imported by nothing; use it or delete it"


def imports_of(source: Source) -> set[str]:
    """Give every dotted name that a file imports, but its own; `from a import b` may mean the module a.b."""
    names: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names - {source.module}


def can_be_started(source: Source) -> bool:
    """Tell whether a module is an entry point: by its name, or because it guards a main part."""
    return PurePosixPath(source.path).stem in ENTRY_POINTS or '__name__ == "__main__"' in source.text


def errors_speak_for_themselves(sources: Sequence[Source]) -> Iterator[str]:
    """Ask every domain error for a code of its own, a kind, and a docstring whose braces name its facts."""
    codes: Counter[str] = Counter()
    for source, error in domain_errors(sources):
        where = f"{source.path}:{error.lineno} {error.name}"
        code, facts = class_constant(error, "code"), {"code", "kind"} | facts_of(error)
        codes[code] += 1
        if not code or codes[code] > 1:
            yield f"{where} has {f'the code {code} of another error' if code else 'no code'}; give it its own"
        if not class_constant(error, "kind"):
            yield f"{where} has no kind; choose one of Kind in domain/kernel/errors.py"
        message = ast.get_docstring(error) or ""
        unknown = set(re.findall(r"\{(\w+)", message)) - facts
        if not message or unknown:
            yield f"{where} has {f'no fact {unknown}' if unknown else 'no docstring'}; its docstring is its message"


def domain_errors(sources: Sequence[Source]) -> Iterator[tuple[Source, ast.ClassDef]]:
    """Find the classes that are derived from DomainError, directly or through one another."""
    family = {"DomainError"}
    classes = [
        (source, node)
        for source in python(sources)
        if source.parts[0] in PACKAGES
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
    ]

    def is_derived(node: ast.ClassDef) -> bool:
        return bool(family & {ast.unparse(base).split(".")[-1] for base in node.bases})

    # A class of another family may carry the name of an error, as GraphQL's problems do: its own bases decide.
    for _ in range(3):
        family |= {node.name for _, node in classes if is_derived(node)}
    return ((source, node) for source, node in classes if is_derived(node))


def class_constant(node: ast.ClassDef, name: str) -> str:
    """Give the source text of what a class assigns to a name, or nothing."""
    for statement in node.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        if isinstance(target, ast.Name) and target.id == name and getattr(statement, "value", None) is not None:
            assert isinstance(statement, ast.Assign | ast.AnnAssign)
            return ast.unparse(statement.value) if statement.value else ""
    return ""


def facts_of(node: ast.ClassDef) -> set[str]:
    """Give the names of a class's annotated attributes."""
    return {one.target.id for one in node.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)}


def every_kind_has_its_answers(sources: Sequence[Source]) -> Iterator[str]:
    """Ask api/problems.py for an HTTP status and a GraphQL problem of each kind of error."""
    kinds = {f"Kind.{name}" for name in members_of(sources, "domain/kernel/errors.py", "Kind")}
    for problems in (source for source in sources if source.path == "api/problems.py"):
        for table in ("HTTP_STATUS", "PROBLEM"):
            yield from (
                f"{problems.path} has no {kind} in {table}; add it" for kind in kinds - set(keys_of(problems, table))
            )


def members_of(sources: Sequence[Source], path: str, enumeration: str) -> set[str]:
    """Give the names that an enumeration in a file assigns."""
    return {
        target.id
        for source in sources
        if source.path == path
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and node.name == enumeration
        for statement in node.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def keys_of(source: Source, table: str) -> list[str]:
    """Give the keys, as written, of the dictionary literal that a module assigns to a name."""
    for node in source.tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id == table and isinstance(value, ast.Dict):
            return [ast.unparse(key) for key in value.keys if key is not None]
    return []


def every_job_has_one_handler(sources: Sequence[Source]) -> Iterator[str]:
    """Compare the job classes with the keys of HANDLERS in workers/registry.py."""
    by_path = {source.path: source for source in sources}
    jobs, registry = by_path.get("domain/journal/jobs.py"), by_path.get("workers/registry.py")
    if jobs is None or registry is None:
        return
    classes = [node for node in jobs.tree.body if isinstance(node, ast.ClassDef)]
    staged = {node.name for node in classes if "Job" in [ast.unparse(base) for base in node.bases]}
    handled = Counter(key.split(".")[-1] for key in keys_of(registry, "HANDLERS"))
    yield from (f"{registry.path} has no handler of {name}; add it to HANDLERS" for name in staged - set(handled))
    yield from (f"{registry.path} handles {name}, which is no job; remove it" for name in set(handled) - staged)
    yield from (f"{registry.path} handles {name} {n} times; keep one" for name, n in handled.items() if n > 1)


def nothing_outside_is_named(sources: Sequence[Source]) -> Iterator[str]:
    """Refuse paths of somebody's machine, and registry hosts, in any text file."""
    for source in sources:
        for number, line in enumerate(source.text.splitlines(), 1):
            for found in (*FOREIGN_PATH.findall(line), *REGISTRY_HOST.findall(line)):
                yield f"{source.path}:{number} names {found}, which is outside of the repository; remove it"


def python(sources: Sequence[Source]) -> Iterator[Source]:
    """Give the Python files alone."""
    return (source for source in sources if source.path.endswith(".py"))


def read_tree() -> list[Source]:
    """Read every text file of the repository, leaving out what is installed, built or hidden."""
    files = [file for file in ROOT.rglob("*") if file.is_file() and is_ours(file.relative_to(ROOT))]
    return [Source(str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")) for file in sorted(files)]


def is_ours(path: Path) -> bool:
    """Tell whether a file is a text of the repository."""
    hidden = any(part.startswith(".") and part != ".ci" for part in path.parts)
    return not hidden and path.suffix in TEXT_SUFFIXES and not set(path.parts) & set(SKIPPED_FOLDERS)


@pytest.fixture(scope="module")
def tree() -> Iterator[list[Source]]:
    """Read the repository once. Collecting garbage among a million nodes that all stay takes most of the time."""
    gc.disable()
    yield read_tree()
    gc.enable()


ERROR = (
    '@dataclass(eq=False)\nclass Gone(DomainError):\n    """{doc}"""\n    code = "gone"\n    {kind}\n    plan: str\n'
)
BAD: list[tuple[Rule, dict[str, str]]] = [
    (functions_are_short, {"api/x.py": "def f():\n" + "    f()\n" * 50}),
    (modules_are_short, {"api/x.py": "x = 1\n" * 401}),
    (modules_say_what_they_are, {"api/x.py": "x = 1\n"}),
    (modules_have_telling_names, {"domain/plans/utils.py": ""}),
    (pure_files_are_pure, {"domain/plans/price.py": "async def f(): ...\n"}),
    (pure_files_are_pure, {"domain/plans/price.py": "rate = 0.5\n"}),
    (pure_files_are_pure, {"domain/kernel/money.py": "x = float(y)\n"}),
    (outer_packages_only_read_stores, {"api/x.py": "from domain.plans import store\nstore.save_plan()\n"}),
    (outer_packages_only_read_stores, {"workers/x.py": "import domain.plans.store as rows\nrows.insert_plan()\n"}),
    (outer_packages_only_read_stores, {"api/x.py": "from domain.plans.store import lock_plan\n"}),
    (every_module_is_used, {"domain/plans/price.py": "", "tests/test_price.py": "from domain.plans import price\n"}),
    (errors_speak_for_themselves, {"domain/a.py": ERROR.format(doc="Gone: {nothing}.", kind="kind = Kind.NOT_FOUND")}),
    (errors_speak_for_themselves, {"domain/a.py": ERROR.format(doc="Gone.", kind="pass")}),
    (
        errors_speak_for_themselves,
        {p: ERROR.format(doc="Gone.", kind="kind = 1") for p in ("domain/a.py", "domain/b.py")},
    ),
    (
        every_kind_has_its_answers,
        {
            "domain/kernel/errors.py": 'class Kind(StrEnum):\n    BUSY = "busy"\n',
            "api/problems.py": "HTTP_STATUS = {Kind.BUSY: 503}\n",
        },
    ),
    (
        every_job_has_one_handler,
        {
            "domain/journal/jobs.py": "class Close(Job): ...\n",
            "workers/registry.py": "HANDLERS: dict = {jobs.Open: f}\n",
        },
    ),
    (nothing_outside_is_named, {"docs/x.md": "see " + "/home" + "/ada/notes\n"}),
]
RULES = list(dict.fromkeys(rule for rule, _ in BAD))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Rule, tree: list[Source]) -> None:
    faults = list(rule(tree))

    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize(("rule", "files"), BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_the_rule_refuses_its_bad_example(rule: Rule, files: dict[str, str]) -> None:
    assert list(rule([Source(path, text) for path, text in files.items()]))
