r"""What a program says that may come out otherwise each time: clocks, entropy, chance, addresses.

    foreseen = Foreseen(seeded=True)
    foreseen.step("import time\nstart = time.time()")         # ()
    foreseen.step("print(time.time() - start)")               # ("clock: time.time",)

A reason is a name that the code mentions (`SOURCES`), however it was imported, or a variable that an earlier statement
filled from one; variables carry reasons from step to step until they are plainly assigned something else. The unit is
a statement at the top level: a loop that mentions a clock passes it on to all that it binds. A step has a reason only
if such a statement may show something: by `print`, as the last expression, by a function of the program's own, by
raising. With `seeded` the program ran in our sandbox, where `random`, numpy's generators and the hashes of texts start
equal every time: these are then no reason, nor is the order of a set, unless what is in it may hash by its address.

Invariant: the text alone decides, so equal programs are judged alike on every machine.
Not covered: names that are put together while the program runs (`getattr(time, "ti" + "me")`).
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterable, Iterator

CLOCK, ENTROPY, CHANCE, ADDRESS, ORDER, PLACE = "clock", "entropy", "chance", "address", "set order", "interpreter"

_CLOCKS = (
    *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time"),
    *("process_time_ns", "thread_time", "ctime", "localtime", "gmtime", "asctime", "strftime", "clock_gettime"),
)
_MOMENTS = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")
SOURCES: dict[str, str] = {
    **{f"time.{name}": CLOCK for name in _CLOCKS},
    **{f"datetime.{name}": CLOCK for name in _MOMENTS},
    **dict.fromkeys(("numpy.datetime64", "timeit", "cProfile", "profile", "resource"), CLOCK),
    **dict.fromkeys(("os.urandom", "os.getrandom", "secrets", "random.SystemRandom"), ENTROPY),
    **dict.fromkeys(("uuid.uuid1", "uuid.uuid4", "uuid.getnode"), ENTROPY),
    **dict.fromkeys(("id", "gc", "weakref", "tracemalloc", "sys.getrefcount"), ADDRESS),
    **dict.fromkeys(("os.environ", "os.getpid", "os.listdir", "os.getcwd", "platform", "socket"), PLACE),
    **dict.fromkeys(("sys.version", "sys.version_info", "sys.path", "sys.modules", "sys.executable"), PLACE),
}
"""By qualified name; a module stands for all that is in it."""
UNSEEDED: dict[str, str] = {
    **dict.fromkeys(("random", "numpy.random", "sympy.core.random", "sympy.randMatrix"), CHANCE),
    **dict.fromkeys(("hash", "set", "frozenset"), ORDER),
}
"""What else is a source where chance does not start from one seed."""
_SEEDS = {"random.seed": "random", "numpy.random.seed": "numpy.random"}
_SEEDED = {"random.Random", "numpy.random.default_rng", "numpy.random.RandomState"}
"""Generators that are no source if they are given a seed."""
BY_ADDRESS = f"{ADDRESS}: of objects in sets or hashed"
_BUILT_IN = ("id", "hash", "set", "frozenset")
"""What needs no import."""
_SHOWING = {"print", "pprint", "pp", "final_answer", "write", "exec", "eval", "help"}
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Foreseen:
    """The program of one trajectory, step by step.

    Args:
        seeded: Whether it ran where chance starts from one seed.
    """

    def __init__(self, *, seeded: bool) -> None:
        self.seeded = seeded
        self.sources = SOURCES if seeded else SOURCES | UNSEEDED
        self.imported: dict[str, str] = {}
        """Qualified names of what was imported, by the name it has in the program."""
        self.carried: dict[str, set[str]] = {}
        """Reasons by variable."""
        self.has_classes = False
        """Whether it has defined a class, whose objects hash by address unless it says otherwise."""
        self._functions: set[str] = set()

    def step(self, code: str, *, failed: bool = False, unanswered: Collection[str] = ()) -> tuple[str, ...]:
        """Reasons why what the next step shows may differ each time, sorted; none: it must come out equal.

        Args:
            code: Its program.
            failed: It ended with an exception, which any statement may have raised.
            unanswered: Tools that it calls and whose results are not known.
        """
        try:
            body = ast.parse(code).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ()
        found: set[str] = set()
        for statement in body:
            self.has_classes |= any(isinstance(node, ast.ClassDef) for node in ast.walk(statement))
            mentions = _Mentions(self, unanswered)
            mentions.visit(statement)
            is_last = statement is body[-1] and isinstance(statement, ast.Expr)
            if failed or is_last or self._shows(statement):
                found |= mentions.reasons
            self._bind(statement, mentions.reasons)
        if unanswered:
            # It ended at the call, so what it would have bound behind it is not known either.
            missing = {f"tool: {name}" for name in unanswered}
            found |= missing
            for statement in body:
                self._carry(_bound(statement), missing)
        return tuple(sorted(found))

    def _shows(self, statement: ast.stmt) -> bool:
        """Whether running it may print, answer or raise by what it computes."""
        if isinstance(statement, _Definition | ast.Import | ast.ImportFrom):
            return False
        showing = _SHOWING | self._functions
        return any(
            isinstance(node, ast.Raise | ast.Assert)
            or (isinstance(node, ast.Call) and _last_name(node.func) in showing)
            for node in ast.walk(statement)
        )

    def _bind(self, statement: ast.stmt, reasons: set[str]) -> None:
        self._functions |= {node.name for node in ast.walk(statement) if isinstance(node, _Definition)}
        names = _bound(statement)
        for name in names:
            self.imported.pop(name, None)
        if reasons:
            self._carry(names | (_receivers(statement) - self.imported.keys()), reasons)
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    self.carried.pop(target.id, None)

    def _carry(self, names: Iterable[str], reasons: set[str]) -> None:
        for name in names:
            self.carried[name] = self.carried.get(name, set()) | reasons


class _Mentions(ast.NodeVisitor):
    """Gathers the reasons of a statement, and what it imports."""

    def __init__(self, program: Foreseen, unanswered: Collection[str]) -> None:
        self._program, self._unanswered = program, unanswered
        self.reasons: set[str] = set()

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            self._program.imported[alias.asname or root] = alias.name if alias.asname else root

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                within = [name for name in self._program.sources if name.startswith(f"{node.module}.")]
                self._program.imported |= {name.rpartition(".")[2]: name for name in within}
            else:
                self._program.imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def visit_Call(self, node: ast.Call) -> None:
        name = self._qualified(node.func)
        if name is not None and (node.args or node.keywords) and (name in _SEEDS or name in _SEEDED):
            if name in _SEEDS:
                self._program.sources = {
                    source: kind for source, kind in self._program.sources.items() if source != _SEEDS[name]
                }
            for argument in [*node.args, *node.keywords]:
                self.visit(argument)
            return
        if _last_name(node.func) in self._unanswered:
            self.reasons.add(f"tool: {_last_name(node.func)}")
        if name in ("set", "frozenset") and _holds_objects(node):
            self.reasons.add(BY_ADDRESS)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self._qualified(node)
        if name is None:
            self.generic_visit(node)
        else:
            self._mention(name)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.reasons |= self._program.carried.get(node.id, set())
            name = self._qualified(node)
            if name is not None:
                self._mention(name)

    def visit_Set(self, node: ast.Set) -> None:
        self._unordered(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._unordered(node)

    def _unordered(self, node: ast.AST) -> None:
        if not self._program.seeded:
            self.reasons.add(f"{ORDER}: set")
        elif self._program.has_classes or _holds_objects(node):
            self.reasons.add(BY_ADDRESS)
        self.generic_visit(node)

    def _mention(self, name: str) -> None:
        if name in ("hash", "set", "frozenset") and self._program.has_classes:
            self.reasons.add(BY_ADDRESS)
        parts = name.split(".")
        for prefix in (".".join(parts[:end]) for end in range(len(parts), 0, -1)):
            if prefix in self._program.sources:
                self.reasons.add(f"{self._program.sources[prefix]}: {name}")
                return

    def _qualified(self, node: ast.AST) -> str | None:
        """`numpy.random.rand` of `np.random.rand`. None: the root is neither imported nor a built-in source."""
        if isinstance(node, ast.Attribute):
            root = self._qualified(node.value)
            return f"{root}.{node.attr}" if root else None
        if isinstance(node, ast.Name):
            return self._program.imported.get(node.id, node.id if node.id in _BUILT_IN else None)
        if isinstance(node, ast.Call) and _last_name(node.func) == "__import__" and node.args:
            named = node.args[0]
            return named.value if isinstance(named, ast.Constant) and isinstance(named.value, str) else None
        return None


def _holds_objects(node: ast.AST) -> bool:
    """Whether a set may hold what hashes by address: functions, types, None (before Python 3.12)."""
    called = {id(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
    return any(
        isinstance(each, ast.Lambda)
        or (isinstance(each, ast.Constant) and each.value is None)
        or (isinstance(each, ast.Name) and hasattr(builtins, each.id) and id(each) not in called)
        or (isinstance(each, ast.Name) and each.id in ("object", "type"))
        for each in ast.walk(node)
    )


def _last_name(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def _bound(statement: ast.stmt) -> set[str]:
    """Names that running it binds, or whose objects it changes: also the `xs` of `xs[0] = …`; imports apart."""
    found: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, _Definition):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            found |= set(_root(node))
    return found


def _receivers(statement: ast.stmt) -> set[str]:
    """The `xs` of `xs.append(…)`: names whose objects it may change by a method."""
    calls = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return {name for function in calls if isinstance(function, ast.Attribute) for name in _root(function)}


def _root(node: ast.AST) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
