"""How built-in functions are declared, found and called.

A family is a module with `functions = Registry()` and small functions under one of four decorators, which
say how the function treats the forms of data, so that it sees only the simplest one:

- `elementwise`: one result per element. Gets vectors of equal length (scalars were broadcast, matrices
  flattened, tables and tuples taken apart) and returns a vector.
- `aggregate`: a vector to a scalar. A matrix or table is reduced column by column.
- `sequence`: a vector to a vector of the same length whose order matters (`cumsum`, `mavg`).
- `builtin`: anything else; gets the values as they are.

`grouped` attaches the vectorised form that SQL uses for many groups at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from engine.errors import ScriptError

Implementation = Callable[..., Any]


class Kind(Enum):
    ELEMENTWISE = "elementwise"
    AGGREGATE = "aggregate"
    SEQUENCE = "sequence"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    required: bool
    repeated: bool = False


@dataclass(slots=True, eq=False)
class Builtin:
    """A built-in function.

    `implementation(*arguments)`, preceded by the `Context` when `wants_context`; omitted optional
    arguments arrive as NOTHING when a later one is given, else are not passed.
    `vectors` is how many leading parameters are data to be lifted over forms (the others, such as a
    window, are passed as they are). `grouped(groups, *arguments)` gets its data arguments as vectors in
    row order (scalars stay scalars) and returns a vector: one element per group for an aggregate, one per
    row otherwise; of a function that takes any form it may return None for "not this way".
    `members` is the same for a function with several results: a vector for each.
    """

    name: str
    signature: str
    kind: Kind
    implementation: Implementation
    parameters: tuple[Parameter, ...]
    vectors: int = 1
    wants_context: bool = False
    grouped: Implementation | None = None
    members: Implementation | None = None
    doc: str = ""


@dataclass(slots=True)
class Registry:
    """Functions by name. Names are case-sensitive, as in DolphinDB."""

    functions: dict[str, Builtin] = field(default_factory=dict)

    def builtin(
        self,
        name: str,
        signature: str,
        *,
        kind: Kind = Kind.OTHER,
        vectors: int = 1,
        context: bool = False,
        aliases: tuple[str, ...] = (),
    ) -> Callable[[Implementation], Implementation]:
        """Declare a function. `signature` is what stands between the parentheses in its documentation:
        `X, window, [minPeriods=1], [args...]`; brackets mark optional parameters, dots a repeated one."""

        def declare(implementation: Implementation) -> Implementation:
            for each in (name, *aliases):
                if each in self.functions:
                    raise ValueError(f"function {each} is declared twice")
                self.functions[each] = Builtin(
                    each,
                    f"{each}({signature})",
                    kind,
                    implementation,
                    parse_parameters(signature),
                    vectors,
                    context,
                    doc=(implementation.__doc__ or "").strip(),
                )
            return implementation

        return declare

    def elementwise(
        self, name: str, signature: str, *, vectors: int = 1, aliases: tuple[str, ...] = ()
    ) -> Callable[[Implementation], Implementation]:
        return self.builtin(name, signature, kind=Kind.ELEMENTWISE, vectors=vectors, aliases=aliases)

    def aggregate(
        self, name: str, signature: str, *, vectors: int = 1, aliases: tuple[str, ...] = ()
    ) -> Callable[[Implementation], Implementation]:
        return self.builtin(name, signature, kind=Kind.AGGREGATE, vectors=vectors, aliases=aliases)

    def sequence(
        self, name: str, signature: str, *, vectors: int = 1, aliases: tuple[str, ...] = ()
    ) -> Callable[[Implementation], Implementation]:
        return self.builtin(name, signature, kind=Kind.SEQUENCE, vectors=vectors, aliases=aliases)

    def grouped(self, *names: str) -> Callable[[Implementation], Implementation]:
        """Attach the many-groups form of functions already declared."""

        def attach(implementation: Implementation) -> Implementation:
            for name in names:
                self.functions[name].grouped = implementation
            return implementation

        return attach

    def members(self, name: str) -> Callable[[Implementation], Implementation]:
        """Attach the many-groups form of a function with several results."""

        def attach(implementation: Implementation) -> Implementation:
            self.functions[name].members = implementation
            return implementation

        return attach

    def update(self, family: Registry) -> None:
        """Add another family; a name declared in both is a ValueError."""
        twice = self.functions.keys() & family.functions.keys()
        if twice:
            raise ValueError(f"functions declared twice: {', '.join(sorted(twice))}")
        self.functions.update(family.functions)

    def find(self, name: str) -> Builtin | None:
        return self.functions.get(name)

    def names(self) -> list[str]:
        return sorted(self.functions)


def parse_parameters(signature: str) -> tuple[Parameter, ...]:
    """`X, window, [minPeriods=1], [args...]` as parameters."""
    parameters = []
    for part in filter(None, (piece.strip() for piece in signature.split(","))):
        required = not part.startswith("[")
        name = part.strip("[] ").split("=")[0].strip()
        repeated = name.endswith("...")
        parameters.append(Parameter(name.removesuffix("...").strip(), required and not repeated, repeated))
    return tuple(parameters)


def _position(parameters: Sequence[Parameter], name: str) -> int:
    """Where a named argument goes; its case does not matter unless two parameters differ in nothing else."""
    names = [parameter.name.split("|") for parameter in parameters]
    exact = next((index for index, each in enumerate(names) if name in each), -1)
    if exact >= 0:
        return exact
    lowered = [index for index, each in enumerate(names) if name.lower() in map(str.lower, each)]
    return lowered[0] if len(lowered) == 1 else -1


def bind(function: Builtin, positional: list[Any], named: Mapping[str, Any], omitted: Any) -> list[Any]:
    """Arguments in parameter order, or a ScriptError that shows the usage."""
    parameters = function.parameters
    repeated = bool(parameters) and parameters[-1].repeated
    values = list(positional)
    if len(values) > len(parameters) and not repeated:
        raise ScriptError(f"Usage: {function.signature}. Too many arguments: {len(values)}.")
    for name, value in named.items():
        position = _position(parameters, name)
        if position < 0:
            raise ScriptError(f"Usage: {function.signature}. There is no parameter named {name}.")
        values.extend([omitted] * (position + 1 - len(values)))
        if values[position] is not omitted:
            raise ScriptError(f"Usage: {function.signature}. Parameter {name} is given twice.")
        values[position] = value
    for position, parameter in enumerate(parameters):
        if parameter.required and (position >= len(values) or values[position] is omitted):
            raise ScriptError(f"Usage: {function.signature}. Parameter {parameter.name} is missing.")
    while values and values[-1] is omitted:
        values.pop()
    return values
