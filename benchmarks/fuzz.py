"""Damaged scripts, queries and messages against the engine: nothing but a declared refusal may come out.

`python -m benchmarks.fuzz [--cases N] [--seed N] [KIND…]` runs by hand what the tests run for seconds. Kinds: `grammar`
(the parser), `scripts` (the interpreter, in sessions with a time limit) and `wire` (decoder and requests). A case that
crashes, takes too long or keeps memory is printed so that it can be run again.
"""

from __future__ import annotations

import argparse
import gc
import logging
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from dolphin.script import parse
from dolphin.script.errors import ScriptSyntaxError
from engine.errors import ScriptError
from engine.functions import builtin_functions
from engine.interpreter import Interpreter
from engine.node import Node
from engine.session import Session
from engine.wire.decode import decode
from engine.wire.encode import encode
from engine.wire.reader import ProtocolError, StreamReader
from engine.wire.requests import read_request

SLOW_SECONDS = 5.0
SCRIPTS = (
    "t = table(1..6 as id, `a`b`a`c`b`a as sym, 1.5 2.5 NULL 4 5 6 as x)",
    "select sym, avg(x) as a, count(*) from t where x > 1, sym in `a`b group by sym having count(*) > 1",
    "select id, mavg(x, 2), cumsum(x) - prev(x) from t context by sym csort id desc limit -2",
    "select sum(x) from t pivot by id % 2 as odd, sym",
    "select * from aj(t, t, `sym`id) where x between 1.0 and 5.0 or isNull(x)",
    "select row_number() over (partition by sym order by id rows between 1 preceding and current row) as r from t",
    "select top 3 case when x > 2 then `high else `low end as level from t left join t as u on t.id = u.id",
    "update t set x = x * 2 where id in (exec id from t where sym = `a); delete from t where id > 4",
    "def f(a, b = 2) { if (a > b) { return a - b } else { return f(b, a) } }; f(3) + f{1, 4}()",
    "for (i in 0..3) { s = string(i) + \"x\" }; each(x -> x * x, 1..5); reduce(+, 1 2 3)",
    "d = {a: 1, b: [1, 2, 3]}; d[`c] = 2024.01.02T03:04:05.678; keys(d); m = matrix(1 2 3, 4 5 6); m[1, 0]; m + m",
    "x = 1..10; x[2:5] = 0; reverse x; sort(x, false); moving(avg, x, 3); accumulate(+, x)",
    "parseExpr(\"1+2\").eval(); <select x from t>; sql(select=sqlCol(`x), from=t).eval()",
    "try { throw \"no\" } catch (e) { print e } ; x = 1..5; do { x = x[1:] } while (size(x) > 2); a, b = 1, 2",
    "insert into t values (7, `d, 1.0); select distinct sym from t union all select `z as sym",
    "date(2024.01.31) + 1..3; temporalAdd(2024.01.31, 1, `M); bar(09:30:01 09:31:00, 60); 5m; decimal64(1.25, 2)",
)  # fmt: skip
PIECES = (
    "select", "from", "where", "group by", "context by", "pivot by", "order by", "limit", "(", ")", "[", "]", "{", "}",
    "<", ">", ",", ";", ":", "..", "`", '"', "'", "/", "\\", "->", "=", "==", "+", "-", "*", "$", "&&", "||", "!", "?",
    "NULL", "00i", "0n", "2024.13.45", "1e309", "99999999999999999999", "as", "over", "case", "when", "end", "def",
    "return", "if", "for", "in", "\n", "\t", " ", "\u00e9", "\x00", "/*", "//", "#", "@", "_$", "%", "t", "x", "f",
    "sum", "each", "til", "9223372036854775807", "-", "each:E", ":P", "<select", "dict(", "array(INT, 0)",
)  # fmt: skip
ARGUMENTS = (
    "1", "0", "-1", "2.5", "NULL", "`a", '"a b"', "true", "1..5", "x", "id", "sym", "t", "1.5 NULL 3", "`a`b`c", "[]",
    "(1, `a, [1, 2])", "matrix(1 2, 3 4)", "dict(`a`b, 1 2)", "set(1 2 3)", "2024.01.01", "2024.01.01..2024.01.05",
    "09:30:00.000", "1:3", "sum", "add", "{y -> y}", "<x + 1>", "5m", "array(INT, 0)", "[[1, 2], [3]]", "'c'",
    "decimal64(1.5, 2)", "symbol(`a`b)", "INT", "100000",
)  # fmt: skip
TOKEN = re.compile(r"\w+|\s+|.")
# Waiting, leaving, and what runs outside of the limits of a session.
UNWANTED = ("sleep", "saveText", "Job", "exit", "shell", "quit", "submitJob", "loop(1..", "run(")
MESSAGES = (
    b"API2 0 8 / 0_1_4_2__8192_null_py_0\nconnect\n",
    b"API 12 12\nscript\n1 + 1",
    b"API 12 13\nfunction\nsum\n1\n1\n" + bytes.fromhex("0401030000000100000001000000020000000300000"[:-1]),
    b"API 3 18\nvariable\nx,y\n2\n1\n" + bytes.fromhex("040005000000100000000000000004"),
)


COMPRESSED = (
    bytes.fromhex("1a0125000000010000000001ff01040400000000000003000000ffffffff0d000000c0010000000200000000000080"),
    bytes.fromhex(
        "1a0130000000010000000001ff02060400000000000005000000ffffffff18000000000000400b4d0080ffffffdf1f3870a0000000e0"
        "ffffffff"
    ),
)
"""An LZ4-compressed INT vector and a delta-compressed DATE vector, as clients send them."""


@dataclass
class Report:
    cases: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    grown: int = 0


def damaged(source: random.Random, texts: tuple[str, ...]) -> str:
    """A script with pieces cut, doubled, moved or put in."""
    text = source.choice(texts)
    if source.random() < 0.2:
        text += source.choice(("; ", "\n", " ")) + source.choice(texts)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(text) + 1)
        until = min(len(text), at + source.randint(1, 12))
        action = source.randrange(5)
        if action == 0:
            text = text[:at] + text[until:]
        elif action == 1:
            text = text[:at] + source.choice(PIECES) + text[at:]
        elif action == 2:
            text = text[:at] + text[at:until] * source.randint(2, 5) + text[until:]
        elif action == 3:
            other = source.randrange(len(text) + 1)
            text = text[:at] + text[other : other + source.randint(1, 20)] + text[at:]
        else:
            text = text[:at] + source.choice(PIECES) + text[until:]
    return text


def reworded(source: random.Random, texts: tuple[str, ...], words: list[str]) -> str:
    """A script with one or two of its words, numbers or operators replaced, which often leaves it grammatical."""
    parts = TOKEN.findall(source.choice(texts))
    for _ in range(source.randint(1, 2)):
        places = [place for place, part in enumerate(parts) if not part.isspace()]
        place = source.choice(places)
        if parts[place][0].isalpha():
            parts[place] = source.choice(words)
        elif parts[place][0].isdigit():
            parts[place] = source.choice(("0", "-1", "NULL", "1..3", "2.5", "`a", '"text"', "100000", "true", "x", "t"))
        else:
            parts[place] = source.choice(("+", "-", "*", "/", "<", ">=", "==", ",", "$", ":", ".", "&&", "join"))
    return "".join(parts)


def call(source: random.Random, words: list[str]) -> str:
    arguments = [source.choice(ARGUMENTS) for _ in range(source.randint(0, 4))]
    return f"{source.choice(words)}({', '.join(arguments)})"


def damaged_bytes(source: random.Random, samples: list[bytes]) -> bytes:
    data = bytearray(source.choice(samples))
    for _ in range(source.randint(0, 4)):
        at = source.randrange(len(data) + 1)
        action = source.randrange(4)
        if action == 0:
            del data[at : at + source.randint(1, 8)]
        elif action == 1:
            data[at:at] = source.randbytes(source.randint(1, 8))
        elif data:
            data[source.randrange(len(data))] = source.choice((0, 1, 127, 128, 255, source.randrange(256)))
    return bytes(data)


def grammar(source: random.Random) -> Iterator[tuple[str, Callable[[], None]]]:
    while True:
        text = damaged(source, SCRIPTS)

        def case(text: str = text) -> None:
            try:
                parse(text)
            except ScriptSyntaxError as error:
                raise Refused from error

        yield text, case


class Refused(Exception):  # noqa: N818
    """The engine said no, as it should."""


def scripts(source: random.Random) -> Iterator[tuple[str, Callable[[], None]]]:
    registry = builtin_functions()
    words = registry.names()
    makers: tuple[Callable[[], str], ...] = (
        lambda: damaged(source, SCRIPTS[1:]),
        lambda: reworded(source, SCRIPTS[1:], [*words[:: len(words) // 100], "x", "t", "id", "sym"]),
        lambda: call(source, words),
        lambda: f"select {call(source, words)} from t {source.choice(('', 'group by sym', 'context by sym'))}",
    )
    with tempfile.TemporaryDirectory() as folder:
        while True:
            text = source.choice(makers)()
            if any(word in text for word in UNWANTED):
                continue

            def case(text: str = text) -> None:
                session = Session(1, Node(Path(folder)))
                session.deadline = time.monotonic() + 1.0
                engine = Interpreter(session, registry)
                engine.run(SCRIPTS[0])
                try:
                    engine.run(text)
                except ScriptError as error:
                    if "Internal error" in error.message:
                        raise
                    raise Refused from error

            yield text, case


def wire(source: random.Random) -> Iterator[tuple[str, Callable[[], None]]]:
    with tempfile.TemporaryDirectory() as folder:
        engine = Interpreter(Session(1, Node(Path(folder))), builtin_functions())
        values = [
            engine.run(text)
            for text in (
                "1", "`a", "1..5", "`a`b`c", "symbol(`a`b`a)", "1.5 NULL", "2024.01.01 2024.01.02", "[1 2, 3 4]",
                "(1, `a, 2.5)", "matrix(1 2, 3 4)", "set(1 2 3)", "dict(`a`b, 1 2)", "1:2", "decimal64(1.5 2.5, 2)",
                "table(1..3 as id, symbol(`a`b`a) as s, 1.5 2.5 NULL as x)", "blob(`x`y)", "uuid()", "{a: 1, b: `c}",
            )
        ]  # fmt: skip
    objects = [b"".join(bytes(piece) for piece in encode(value)) for value in values] + list(COMPRESSED)
    while True:
        if source.random() < 0.7:
            data = damaged_bytes(source, objects)

            def case(data: bytes = data) -> None:
                reader = StreamReader.over(data)
                reader.budget = 1 << 20
                try:
                    decode(reader)
                except ProtocolError as error:
                    raise Refused from error

        else:
            data = damaged_bytes(source, [message + source.choice(objects) for message in MESSAGES])

            def case(data: bytes = data) -> None:
                reader = StreamReader.over(data)
                reader.budget = 1 << 20
                try:
                    read_request(reader, 1 << 16)
                except ProtocolError as error:
                    raise Refused from error

        yield repr(data), case


KINDS: dict[str, Callable[[random.Random], Iterator[tuple[str, Callable[[], None]]]]] = {
    "grammar": grammar,
    "scripts": scripts,
    "wire": wire,
}


def run(kind: str, cases: int, seed: int, seconds: float | None = None) -> Report:
    """So many cases of one kind, or as many as fit in a time; failures name the case and what came out."""
    report = Report()
    stop = time.monotonic() + seconds if seconds is not None else None
    memory = psutil.Process()
    held = 0
    for text, case in KINDS[kind](random.Random(seed)):
        if report.cases >= cases or (stop is not None and time.monotonic() > stop):
            break
        report.cases += 1
        if report.cases == cases // 10:
            gc.collect()
            held = memory.memory_info().rss
        started = time.monotonic()
        try:
            case()
        except Refused:
            report.refused += 1
        except Exception as error:
            report.failures.append(f"{type(error).__name__}: {error}\n    {text!r}")
        if time.monotonic() - started > SLOW_SECONDS:
            report.failures.append(f"took {time.monotonic() - started:.1f} s\n    {text!r}")
    gc.collect()
    report.grown = max(memory.memory_info().rss - held, 0) if held else 0
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", default=[], metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if unknown := [kind for kind in arguments.kinds if kind not in KINDS]:
        parser.error(f"there is no kind {unknown[0]}; there are: {', '.join(KINDS)}")
    logging.disable(logging.CRITICAL)
    failed = 0
    for kind in arguments.kinds or KINDS:
        started = time.perf_counter()
        report = run(kind, arguments.cases, arguments.seed)
        failed += len(report.failures)
        print(
            f"{kind}: {report.cases:,} cases, {report.refused:,} refused, {len(report.failures)} failures,"
            f" {report.grown / 2**20:.0f} MB more after the first tenth, {time.perf_counter() - started:.0f} s"
        )
        for failure in report.failures[:20]:
            print(f"  {failure}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
