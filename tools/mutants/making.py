"""
Mutants of a module: each with one thing changed in one function, as mutmut's operators change it.

mutmut leaves functions with a decorator alone; here they are changed as well, because every finding is one.
And the code of a mutant takes the place of the function's own (``switch_on``): the stack is what it was.
"""

from __future__ import annotations

import ast
import difflib
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import CodeType, FunctionType

import libcst
from libcst._nodes.internal import CodegenState
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import NEVER_MUTATE_FUNCTION_NAMES, MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode


@dataclass(frozen=True)
class Mutant:
    """A function as it is and with one change. A test that runs none of ``lines`` cannot notice it."""

    file: Path
    function: str
    lines: range
    old: str
    new: str

    @cached_property
    def name(self) -> str:
        """The change: the lines as they are, and as they are in the mutant."""
        lines = difflib.ndiff(self.old.splitlines(), self.new.splitlines())
        changed = [(line[0], line[2:].strip()) for line in lines if line[0] in "+-"]
        old, new = (" ".join(line for side, line in changed if side == wanted) for wanted in "-+")
        return f"{self.file.stem}.{self.function}: {old} -> {new}"


class Visitor(MutationVisitor):
    """Notes the line of each mutation, and also visits functions with decorators."""

    def __init__(self) -> None:
        super().__init__(mutation_operators, IgnoredCode(set(), set(), set()))
        self.lines: list[int] = []

    def _create_mutations(self, node: libcst.CSTNode) -> None:
        super()._create_mutations(node)
        place = self.get_metadata(PositionProvider, node, None)
        self.lines += [place.start.line if place else 0] * (len(self.mutations) - len(self.lines))

    def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
        if isinstance(node, libcst.FunctionDef) and node not in self._enum_creation_hooks:
            return node.name.value in NEVER_MUTATE_FUNCTION_NAMES
        return super()._skip_node_and_children(node)


def mutants_of(file: Path, every: int = 1) -> Iterator[Mutant]:
    source = file.read_text()
    wrapper = MetadataWrapper(libcst.parse_module(source))
    wrapper.visit(visitor := Visitor())
    functions: dict[libcst.CSTNode, tuple[str, str]] = {}
    for node in wrapper.module.body:
        functions[node] = ("", text(node, ""))
        if isinstance(node, libcst.ClassDef):
            functions |= {inner: (f"{node.name.value}.", text(inner, "    ")) for inner in node.body.body}
    spans = statements(source)
    for mutation, line in [*zip(visitor.mutations, visitor.lines, strict=True)][::every]:
        function = mutation.contained_by_top_level_function
        if isinstance(function, libcst.FunctionDef):
            prefix, old = functions[function]
            changed = function.deep_replace(mutation.original_node, mutation.mutated_node)
            lines = spans.get(line, range(line, line + 1))
            yield Mutant(
                file, prefix + function.name.value, lines, old, text(changed, "    " if prefix else "")
            )


def text(node: libcst.CSTNode, indent: str) -> str:
    state = CodegenState(default_indent="    ", default_newline="\n")
    state.increase_indent(indent)
    node._codegen(state)
    return "".join(state.tokens)


def statements(source: str) -> dict[int, range]:
    """Map each line to the lines of its statement; that of ``if`` and the like does not include the body."""
    spans = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt):
            inside = getattr(node, "body", None)
            if inside and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                end = max(node.lineno, inside[0].lineno - 1)
            else:
                end = node.lineno if isinstance(node, ast.Match) else node.end_lineno
            spans.update(dict.fromkeys(range(node.lineno, end + 1), range(node.lineno, end + 1)))
    return spans


@cache
def functions_of(file: Path) -> dict[str, list[FunctionType]]:
    """Return the functions of a module that exist now, by name, wherever they are held."""
    found: dict[str, list[FunctionType]] = {}
    for function in gc.get_objects():
        if type(function) is FunctionType and function.__code__.co_filename == str(file):
            found.setdefault(function.__code__.co_qualname, []).append(function)
    return found


def codes(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a function and of everything that is defined inside it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from codes(inner)


def compiled(mutant: Mutant, function: str) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef, list[CodeType]]:
    """Compile the text of a function, original or changed: its definition, and the codes in it."""
    owner = mutant.function.rpartition(".")[0]
    tree = ast.parse(f"from __future__ import annotations\n{f'class {owner}:' if owner else ''}\n{function}")
    definition = tree.body[1].body[0] if owner else tree.body[1]
    found = codes(compile(tree, str(mutant.file), "exec", dont_inherit=True))
    prefix = f"{mutant.function}."
    return definition, [code for code in found if f"{code.co_qualname}.".startswith(prefix)]


def switch_on(mutant: Mutant) -> None:
    """Let this process run the mutant from now on."""
    (_, old), (definition, new) = compiled(mutant, mutant.old), compiled(mutant, mutant.new)
    functions = functions_of(mutant.file)
    # A getter and its setter have one name, and so may have lambdas: the lines tell them apart, as they are.
    [own] = [one for one in functions[mutant.function] if alike(one.__code__, old[0])][:1]
    first = own.__code__.co_firstlineno - old[0].co_firstlineno
    for was, code in zip(old, new, strict=True) if len(old) == len(new) else [(old[0], new[0])]:
        for function in functions.get(was.co_qualname, ()):
            if function.__code__.co_firstlineno == was.co_firstlineno + first:
                # super() may be gone.
                free = function.__code__.co_freevars
                function.__code__ = code.replace(co_freevars=free) if code.co_freevars != free else code
                if was is old[0]:
                    change_defaults(function, definition.args)


def alike(one: CodeType, other: CodeType) -> bool:
    return one.co_varnames == other.co_varnames and one.co_names == other.co_names


def change_defaults(function: FunctionType, arguments: ast.arguments) -> None:
    """Change defaults that are literals: mutmut changes no others."""

    def changed(was: object, default: ast.expr | None) -> object:
        return default.value if isinstance(default, ast.Constant) else was

    defaults = zip(function.__defaults__ or (), arguments.defaults, strict=True)
    function.__defaults__ = tuple(changed(was, default) for was, default in defaults) or None
    by_name = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    for argument, default in by_name:
        if default is not None:
            function.__kwdefaults__[argument.arg] = changed(function.__kwdefaults__[argument.arg], default)
