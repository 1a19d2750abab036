"""Change `events.tlog` in one place at a time and see whether its tests notice.

    python -m bench.mutants                     every mutant, two at a time: about a quarter of an hour
    python -m bench.mutants --only proofs       those of one file
    python -m bench.mutants --sample 100        as many, drawn by chance

A *mutant* is the package with one change: a comparison or an operator becomes another, a condition its opposite, a
number one more, a text or bytes another, a `raise`, a check or a `return` goes away. It is *noticed* if a test of
`tests/events/tlog` fails, or hangs; otherwise it *survives* and is printed. Not changed are docstrings, annotations,
the lists of names in `__init__.py`, and the words of messages for people, which no test should hold still.

Ends with 1 where fewer than 95 in 100 are noticed. No mutant takes longer than a minute.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from bench.measuring import say

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = Path("events/tlog")
TESTS: Final = Path("tests/events/tlog")
SECONDS: Final = 60
WANTED: Final = 0.95

OTHERS: Final[dict[type[ast.AST], type[ast.AST]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the file, where, what, and the whole text with it."""

    file: str
    line: int
    change: str
    source: str


def mutants_of(file: Path) -> Iterator[Mutant]:
    """Every mutant of a file, from top to bottom."""
    tree = ast.parse(file.read_text())
    places = sorted(_places(tree), key=lambda found: (found[0].lineno, found[0].col_offset))
    for node, _ in places:
        for change, mutated in _changes(node):
            before = _short(ast.unparse(node))
            with _Replaced(tree, node, mutated):
                source = ast.unparse(ast.fix_missing_locations(tree))
            yield Mutant(file.name, node.lineno, f"{change}: {before}", source)


def _places(node: ast.AST, raising: bool = False) -> Iterator[tuple[ast.expr | ast.stmt, bool]]:
    """Every expression and statement that may be changed, without what people read."""
    for name, child in _children(node):
        if name in ("annotation", "returns", "decorator_list") or _is_docstring(node, child):
            continue
        words = raising or isinstance(child, ast.Raise)
        if isinstance(child, (ast.expr, ast.stmt)) and not raising:
            yield child, words
        yield from _places(child, words)


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield name, child


def _is_docstring(parent: ast.AST, node: ast.AST) -> bool:
    """Also the texts that explain a constant below it."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What a node may become, with a word for it."""
    match node:
        case ast.Compare(ops=ops):
            for at, op in enumerate(ops):
                changed = deepcopy(node)
                changed.ops[at] = OTHERS[type(op)]()  # type: ignore[call-overload]  # a comparison for a comparison
                yield "another comparison", changed
        case ast.BoolOp() | ast.BinOp() | ast.AugAssign():
            changed_op = deepcopy(node)
            changed_op.op = OTHERS[type(node.op)]()  # type: ignore[assignment]  # an operator of the same kind
            yield "another operator", changed_op
        case ast.UnaryOp(op=ast.Not()):
            yield "no not", node.operand
        case ast.If() | ast.While() | ast.IfExp():
            negated = deepcopy(node)
            negated.test = ast.UnaryOp(ast.Not(), negated.test)
            yield "the opposite condition", negated
        case ast.comprehension(ifs=[_, *_]):
            yield "no condition", ast.comprehension(node.target, node.iter, [], node.is_async)
        case ast.Raise() | ast.Expr(value=ast.Call()):
            yield "left out", ast.Pass()
        case ast.Return(value=ast.expr()):
            yield "returns nothing", ast.Return(ast.Constant(None))
        case ast.Constant(value=value):
            yield from _other_constants(value)


def _other_constants(value: object) -> Iterator[tuple[str, ast.AST]]:
    match value:
        case bool():
            yield "the opposite", ast.Constant(not value)
        case int():
            yield "one more", ast.Constant(value + 1)
        case str() if " " not in value.strip():
            yield "another text", ast.Constant(f"{value}x")
        case bytes():
            yield "other bytes", ast.Constant(value + b"x")


class _Replaced:
    """The tree with one node replaced, for as long as it is entered."""

    def __init__(self, tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
        self._tree, self._old, self._new = tree, old, new

    def __enter__(self) -> None:
        self._swap(self._old, self._new)

    def __exit__(self, *_: object) -> None:
        self._swap(self._new, self._old)

    def _swap(self, old: ast.AST, new: ast.AST) -> None:
        for parent in ast.walk(self._tree):
            for name, value in ast.iter_fields(parent):
                if value is old:
                    setattr(parent, name, new)
                    return
                if isinstance(value, list) and any(item is old for item in value):
                    setattr(parent, name, [new if item is old else item for item in value])
                    return


def _short(text: str) -> str:
    return text.partition("\n")[0][:100]


class Copy:
    """A copy of what the tests need, in which one mutant at a time is tried."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        nothing_compiled = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "events", folder / "events", ignore=nothing_compiled)
        shutil.copytree(ROOT / TESTS, folder / TESTS, ignore=nothing_compiled)
        shutil.copy(ROOT / "pyproject.toml", folder)

    def passes(self) -> bool:
        """Whether every test passes; one that hangs does not."""
        # The vectors first: they are quick, and notice most. Nothing compiled is kept: a mutant may have the size and
        # the second of the one before it, and would be taken for it.
        command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "--noconftest", "-p", "no:cacheprovider"]
        try:
            ended = subprocess.run(
                [*command, str(TESTS / "test_vectors.py"), str(TESTS)], cwd=self._folder, timeout=SECONDS,
                env={**os.environ, "PYTHONPATH": str(self._folder)}, capture_output=True, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        return ended.returncode == 0

    def survived_by(self, mutant: Mutant) -> bool:
        """Whether every test passes with the mutant."""
        file = self._folder / PACKAGE / mutant.file
        original = file.read_text()
        file.write_text(mutant.source)
        try:
            return self.passes()
        finally:
            file.write_text(original)


def survivors(mutants: list[Mutant], jobs: int) -> list[Mutant]:
    """Try each mutant, so many at a time, and return those that no test noticed."""
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(jobs):
            copies.put(Copy(Path(folder) / str(number)))
        first = copies.get()
        if not first.passes():
            raise SystemExit("the tests fail without any mutant: mend them first")
        copies.put(first)

        def survives(mutant: Mutant) -> bool:
            copy = copies.get()
            try:
                survived = copy.survived_by(mutant)
            finally:
                copies.put(copy)
            if survived:
                say(f"  survived: {mutant.file}:{mutant.line}: {mutant.change}")
            return survived

        with ThreadPoolExecutor(jobs) as threads:
            found = list(threads.map(survives, mutants))
    return [mutant for mutant, survived in zip(mutants, found, strict=True) if survived]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="a file of the package, such as proofs; may be repeated")
    parser.add_argument("--sample", type=int, help="so many, drawn by chance (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at the same time (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="another one draws others (default: 1)")
    wanted = parser.parse_args()

    files = [path for path in sorted((ROOT / PACKAGE).glob("*.py")) if path.name != "__init__.py"]
    chosen = [path for path in files if not wanted.only or path.stem in wanted.only]
    mutants = [mutant for path in chosen for mutant in mutants_of(path)]
    if wanted.sample is not None and wanted.sample < len(mutants):
        mutants = random.Random(wanted.seed).sample(mutants, wanted.sample)
    survived = survivors(mutants, wanted.jobs)
    for path in chosen:
        of_file = [mutant for mutant in mutants if mutant.file == path.name]
        left = sum(mutant.file == path.name for mutant in survived)
        say(f"  {path.name:<16}{len(of_file):>6} mutants, {left:>3} survived")
    noticed = len(mutants) - len(survived)
    share = noticed / len(mutants)
    say(f"{noticed} of {len(mutants)} mutants noticed: {share:.1%}")
    return 0 if share >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
