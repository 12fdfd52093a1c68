"""Docstrings: every public name tells what a caller has to know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import Source, sources

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_names(tree: ast.Module) -> set[str]:
    """Read ``__all__`` of a module; nothing where there is none."""
    names: set[str] = set()
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "__all__"
        ):
            names.update(ast.literal_eval(node.value))
    return names


def section(docstring: str, *titles: str) -> str:
    """Cut a numpydoc section out of a docstring; empty where there is none."""
    pattern = (
        rf"(?:^|\n)(?:{'|'.join(titles)})\n-{{3,}}\n(.*?)(?=\n\w[\w ]*\n-{{3,}}\n|\Z)"
    )
    found = re.search(pattern, docstring, flags=re.DOTALL)
    return found.group(1) if found else ""


def described(body: str) -> set[str]:
    """Name what a section describes: ``a, b : float`` gives a and b."""
    lines = [line for line in body.splitlines() if line and not line[0].isspace()]
    return {
        name.strip().lstrip("*").strip("`")
        for line in lines
        for name in line.partition(" : ")[0].split(",")
    }


def parameters(function: Function) -> list[str]:
    """Name the parameters of a function, without self and cls."""
    spec = function.args
    found = [arg.arg for arg in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    found += [extra.arg for extra in (spec.vararg, spec.kwarg) if extra]
    return [name for name in found if name not in ("self", "cls")]


def function_faults(
    path: str, function: Function, *, short: bool = False
) -> Iterator[str]:
    """Find what the docstring of a function leaves out; a short one has no sections."""
    place = f"{path}::{function.name}"
    text = ast.get_docstring(function)
    if text is None:
        yield f"{place}: has no docstring"
        return
    if short:
        return
    missing = set(parameters(function)) - described(section(text, "Parameters"))
    for name in sorted(missing):
        yield f"{place}: parameter {name} is not described"
    returned = ast.unparse(function.returns) if function.returns else "None"
    silent = returned in ("None", "NoReturn", "Never")
    if not silent and not section(text, "Returns", "Yields"):
        yield f"{place}: what it returns is not described"


def has_string(below: list[ast.stmt]) -> bool:
    """Tell whether what stands below a field is its description."""
    return any(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for node in below
    )


def is_constant(field: ast.AnnAssign) -> bool:
    """Tell a constant of the class from a field of its values."""
    # `kind: ErrorKind = ErrorKind.INTERNAL` is one as well.
    named = "ClassVar" in ast.unparse(field.annotation)
    return named or isinstance(field.value, ast.Attribute)


def port_methods(tree: ast.Module) -> dict[str, str]:
    """Map each method of the module's protocols to the protocol that explains it."""
    return {
        method.name: cls.name
        for cls in tree.body
        if isinstance(cls, ast.ClassDef)
        and any(ast.unparse(base).endswith("Protocol") for base in cls.bases)
        for method in cls.body
        if isinstance(method, Function)
    }


def class_faults(path: str, cls: ast.ClassDef, ports: dict[str, str]) -> Iterator[str]:
    """Find what the docstrings of a public class leave out."""
    place = f"{path}::{cls.name}"
    text = ast.get_docstring(cls)
    if text is None:
        yield f"{place}: has no docstring"
        return
    fields = described(section(text, "Attributes"))
    fields |= described(section(text, "Parameters"))
    for number, node in enumerate(cls.body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            told = name in fields or has_string(cls.body[number + 1 : number + 2])
            if not (told or name.startswith("_") or is_constant(node)):
                yield f"{place}: attribute {name} is not described"
        elif isinstance(node, Function) and not node.name.startswith("_"):
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            if f"{node.name}.setter" not in decorators:
                # One line tells enough of a property, of a method that takes nothing,
                # and of one whose protocol, in the same module, explains it in full.
                short = (
                    bool(decorators & {"property", "cached_property"})
                    or not parameters(node)
                    or ports.get(node.name, cls.name) != cls.name
                )
                yield from function_faults(place, node, short=short)


def faults(source: Source, offered: set[str]) -> Iterator[str]:
    """Find what the docstrings of a module leave out, given the names users see."""
    if ast.get_docstring(source.tree) is None:
        yield f"{source.path}: has no docstring"
    public = public_names(source.tree)
    ports = port_methods(source.tree)
    for node in source.tree.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name not in public:
            continue
        if node.name not in offered:
            # Read by those who work on the library, beside its code.
            if ast.get_docstring(node) is None:
                yield f"{source.path}::{node.name}: has no docstring"
        elif isinstance(node, ast.ClassDef):
            yield from class_faults(source.path, node, ports)
        else:
            yield from function_faults(source.path, node)


def unspecified(source: Source) -> Iterator[str]:
    """Find the tests whose docstring is not a sentence."""
    for node in ast.walk(source.tree):
        if isinstance(node, Function) and node.name.startswith("test_"):
            text = ast.get_docstring(node) or ""
            if not text.rstrip().endswith("."):
                yield f"{source.path}::{node.name}: its docstring is no sentence"


def test_every_public_name_has_a_numpydoc_docstring(project_root: Path) -> None:
    """What users see tells parameters, results and fields; the rest has a docstring."""
    modules = sources(project_root, "climorch")
    offered = public_names(
        next(source.tree for source in modules if source.module == "climorch")
    )

    found = [fault for source in modules for fault in faults(source, offered)]

    assert found == []


def test_every_module_says_what_is_public(project_root: Path) -> None:
    """A module of the package that defines anything lists its public names."""
    found = [
        source.path
        for source in sources(project_root, "climorch")
        if any(isinstance(node, Function | ast.ClassDef) for node in source.tree.body)
        and not public_names(source.tree)
    ]

    assert found == []


def test_every_test_is_a_sentence_of_the_specification(project_root: Path) -> None:
    """The docstring of each test is one sentence of what holds."""
    found = [
        fault
        for source in sources(project_root, "tests")
        for fault in unspecified(source)
    ]

    assert found == []


GOOD = '''
"""A module."""
__all__ = ["A", "P", "f", "g"]

def f(a: int, *b: int, **c: int) -> int:
    """Do it.

    Parameters
    ----------
    a, *b : int
        Numbers.
    **c
        More.

    Returns
    -------
    int
        A number.
    """

def g() -> None:
    """Do it without a word."""

def hidden(a): ...

class P(Protocol):
    """A port."""

    def go(self, far: float) -> float:
        """Go there.

        Parameters
        ----------
        far : float
            Metres.

        Returns
        -------
        float
            Metres gone.
        """

class A:
    """A value.

    Attributes
    ----------
    x, y : float
        Metres.
    """

    x: float
    y: float
    z: float
    """Height, metres."""
    kind: Kind = Kind.A
    limit: ClassVar[int] = 3
    _own: int

    def step(self, dt: float) -> None:
        """Go on.

        Parameters
        ----------
        dt : float
            Seconds.
        """

    @property
    def size(self) -> int:
        """Number of things."""

    @size.setter
    def size(self, value): ...

    def go(self, far: float) -> float:
        """Go nowhere."""

    def count(self) -> int:
        """Return the number of values."""

    def _hidden(self): ...
'''


def check(code: str) -> list[str]:
    """Find the faults of a module of which users see A, P and f."""
    source = Source(path="a.py", text=code, tree=ast.parse(code))
    return list(faults(source, {"A", "P", "f"}))


def test_a_documented_module_has_no_faults() -> None:
    """What is documented as the style asks is accepted."""
    assert check(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"""A module."""', "", "a.py: has no docstring"),
        ("a, *b : int", "*b : int", "a.py::f: parameter a is not described"),
        ("**c\n", "c2\n", "a.py::f: parameter c is not described"),
        ("Returns\n    -------", "Gives", "a.py::f: what it returns is not described"),
        ('"""Do it without a word."""', "...", "a.py::g: has no docstring"),
        ("x, y : float", "x : float", "a.py::A: attribute y is not described"),
        ('"""Height, metres."""', "", "a.py::A: attribute z is not described"),
        ('"""Number of things."""', "...", "a.py::A::size: has no docstring"),
        ("far : float", "f : float", "a.py::P::go: parameter far is not described"),
        ('"""Go nowhere."""', "...", "a.py::A::go: has no docstring"),
        ("dt : float", "d : float", "a.py::A::step: parameter dt is not described"),
    ],
    ids=[
        "module",
        "parameter",
        "keywords",
        "returns",
        "function",
        "attribute",
        "string-below",
        "property",
        "port",
        "implementation",
        "method",
    ],
)
def test_a_planted_gap_in_the_docstrings_is_found(
    old: str, new: str, fault: str
) -> None:
    """Each thing left out of the docstrings is named with its place."""
    assert GOOD.count(old) == 1

    assert check(GOOD.replace(old, new)) == [fault]


def test_a_class_without_a_docstring_is_found() -> None:
    """A public class without a docstring is one fault, not one per field."""
    code = '"""M."""\n__all__ = ["A"]\nclass A:\n    x: int\n'

    assert check(code) == ["a.py::A: has no docstring"]


def test_a_test_without_a_sentence_is_found() -> None:
    """A test whose docstring is missing or no sentence is named."""
    code = 'def test_a():\n    """No sentence"""\ndef test_b(): ...\n'

    assert list(unspecified(Source(path="a.py", text=code, tree=ast.parse(code)))) == [
        "a.py::test_a: its docstring is no sentence",
        "a.py::test_b: its docstring is no sentence",
    ]
