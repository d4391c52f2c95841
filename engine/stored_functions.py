"""Functions as documents: function views and scheduled jobs outlive the session that defined them.

A function is stored by its source, together with those it calls that are not built in, and what it closed over.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dolphin.script import parse, syntax
from engine.errors import ScriptError
from engine.functions.registry import Builtin
from engine.interpreter.closures import make_closure
from engine.interpreter.scope import Scope
from engine.values import (
    NOTHING,
    AnyVector,
    ArrayVector,
    Closure,
    Dictionary,
    Function,
    Matrix,
    Nothing,
    Partial,
    Pattern,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    elements,
)
from engine.wire.decode import decode
from engine.wire.encode import Encoding, encode
from engine.wire.reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.functions.registry import Registry

Document = dict[str, Any]


def function_document(function: Function, functions: Mapping[str, Function]) -> Document:
    """The document of a function; `functions` are those of its session. ScriptError for what can't be stored."""
    writer = _Writer(functions)
    root = writer.item(function)
    return {"root": root, "definitions": writer.definitions}


def stored_function(
    document: Document, registry: Registry, views: Mapping[str, Function], owner: str | None = None
) -> Function:
    """The function of a document; `views` are the function views there are now.

    ScriptSyntaxError or ScriptError when it can't be read any more.
    """
    reader = _Reader(document["definitions"], registry, views, owner)
    function = reader.item(document["root"])
    assert isinstance(function, Builtin | Closure | Partial | Pattern)
    return function


@dataclass(eq=False)
class _Writer:
    functions: Mapping[str, Function]
    definitions: list[Document] = field(default_factory=list)
    _numbers: dict[int, int] = field(default_factory=dict)

    def item(self, value: Value) -> Document:
        if isinstance(value, Closure) and value.is_view:
            return {"view": value.name}
        if isinstance(value, Closure):
            return {"definition": self._definition(value)}
        if isinstance(value, Builtin):
            return {"builtin": value.name}
        if isinstance(value, Pattern):
            return {"pattern": value.letter, "function": self.item(value.function)}
        if isinstance(value, Partial):
            return {
                "partial": self.item(value.function),
                "arguments": [None if isinstance(each, Nothing) else self.item(each) for each in value.arguments],
            }
        check_plain(value)
        blocks = encode(value, Encoding(all_types=True))
        return {"value": base64.b64encode(b"".join(bytes(block) for block in blocks)).decode()}

    def _definition(self, closure: Closure) -> int:
        known = self._numbers.get(id(closure))
        if known is not None:
            return known
        if not closure.text:
            raise ScriptError(f"The source of the function [{closure.name or 'lambda'}] is not known.")
        number = self._numbers[id(closure)] = len(self.definitions)
        held: Document = {}
        self.definitions.append({"name": closure.name, "text": closure.text, "held": held})
        for name in _mentioned(closure):
            value = closure.captured.get(name) or self.functions.get(name)
            if isinstance(value, Builtin):
                raise ScriptError(f"The function uses the class [{name}], which lives in this session only.")
            if value is not None:
                held[name] = self.item(value)
        return number


def _mentioned(closure: Closure) -> list[str]:
    parts: list[syntax.Node] = [closure.body]
    parts.extend(each.default for each in closure.parameters if each.default is not None)
    own = {each.name for each in closure.parameters}
    names = (each.id for part in parts for each in syntax.walk(part) if isinstance(each, syntax.Name))
    return [name for name in dict.fromkeys(names) if name not in own]


def check_plain(value: Value) -> None:
    """Data that is the same when it is read again."""
    if isinstance(value, Dictionary):
        parts = list(value.items.values())
    elif isinstance(value, AnyVector):
        parts = list(elements(value))
    elif isinstance(value, Scalar | Vector | ArrayVector | Matrix | Set) or (
        isinstance(value, Table) and not value.keys
    ):
        return
    else:
        raise ScriptError(f"A {type(value).__name__.lower()} can't be stored with a function.")
    for part in parts:
        check_plain(part)


@dataclass(eq=False)
class _Reader:
    definitions: list[Document]
    registry: Registry
    views: Mapping[str, Function]
    owner: str | None
    _made: dict[int, Closure] = field(default_factory=dict)

    def item(self, document: Document) -> Value:
        if "definition" in document:
            return self._closure(document["definition"])
        if "builtin" in document:
            found = self.registry.find(document["builtin"])
            if found is None:
                raise ScriptError(f"There is no function [{document['builtin']}] any more.")
            return found
        if "view" in document:
            view = self.views.get(document["view"])
            if view is None:
                raise ScriptError(f"There is no function view [{document['view']}] any more.")
            return view
        if "pattern" in document:
            return Pattern(self._function(document["function"]), document["pattern"])
        if "partial" in document:
            arguments = [NOTHING if each is None else self.item(each) for each in document["arguments"]]
            return Partial(self._function(document["partial"]), tuple(arguments))
        return decode(StreamReader.over(base64.b64decode(document["value"])))

    def _function(self, document: Document) -> Function:
        value = self.item(document)
        assert isinstance(value, Builtin | Closure | Partial | Pattern)
        return value

    def _closure(self, number: int) -> Closure:
        made = self._made.get(number)
        if made is None:
            document = self.definitions[number]
            node = _lambda(document["text"], [name for name in document["held"] if "::" not in name])
            made = self._made[number] = make_closure(node, Scope({}), False, self.owner)
            made.name = document["name"]
            made.captured.update({name: self.item(each) for name, each in document["held"].items()})
        return made


def _lambda(text: str, known: list[str]) -> syntax.Lambda:
    """The definition a text is; names known to be functions are read as such."""
    statement = parse("".join(f"def {name}()\n" for name in known) + text).statements[-1]
    node = statement.function if isinstance(statement, syntax.FunctionDefinition) else None
    if isinstance(statement, syntax.ExpressionStatement):
        node = statement.value if isinstance(statement.value, syntax.Lambda) else None
    if node is None:
        raise ScriptError("A stored function is not a definition.")
    return node
