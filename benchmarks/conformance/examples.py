"""Examples with a stated output, taken out of a page of the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha1

from benchmarks.conformance.documentation import Block, blocks
from dolphin.script import ScriptSyntaxError, parse, syntax

_OUTPUT = re.compile(r"^\s*(?:the\s+)?(?:output|result|returns?)\b\s*[:：]?\s*", re.IGNORECASE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')
_ERROR = re.compile(r"error|exception|can't|cannot|invalid|must be|not supported|=>", re.IGNORECASE)

# What a script needs that no engine on its own can give the same answer for, by a pattern of the script.
_NEEDS = (
    ("random numbers", r"\brand\w*\s*[(`]|\bnorm\w*\s*\(|\bshuffle|\bkmeans|\brandomForest|\buuid\(|\bmonteCarlo"),
    ("the current time", r"\b(?:now|today|timer|evalTimer|elapsed)\b|\bgetSystem\w*Time"),
    ("streaming", r"[sS]tream|subscribe\w*|create\w*Engine|CEP|[oO]rca|\breplay"),
    ("a cluster", r"\bxdb|\bremoteRun|\brpc\(|\bpnodeRun|Controller|DataNode|ComputeGroup|\bcopyReplicas"),
    ("a plugin", r"\bloadPlugin|\binstallPlugin|\bgp[A-Z]\w+|\bmysql::|\bodbc::|\bhdf5::"),
    ("a module", r"^\s*use\s+\w|^\s*module\s+\w|\b(?:ta|mytt|wq101alpha|gtja191Alpha)::"),
    ("files of its author", r'"(?:/home|/hdd|/ssd|/data|[A-Z]:[\\/])|\b(?:WORK|DATA|YOUR)_?(?:DIR|PATH)\b|workDir'),
    ("users and jobs", r"\b(?:submitJob\w*|scheduleJob|getRecentJobs|createUser|grant|deny|revoke|login|getUser\w*)\("),
    (
        "the server's own state",
        r"\b(?:mem|objs|license|version|defs|getPerf|getConfig|getCurrentSessionAndUser|getConsoleJobs|getHomeDir"
        r"|getGroupsByUserId|getDFSDatabasesByOwner"
        r"|get(?:Node|System|OLAP|TSDB|Chunks|Cluster|MemLimit)\w*|get\w*MemoryStat)\(\s*\)?",
    ),
    ("the server's time zone", r"\b(?:localtime|gmtime)\("),
    ("a trading calendar", r"\b(?:XNYS|XSHG|XSHE|XNAS|CCFX|XLON|XTKS|XHKG)\b"),
    ("other languages", r"^\s*(?:import|from)\s+\w+|\bnp\.|\bpd\.|>>>"),
)  # fmt: skip
_EMPTY_TABLE = re.compile(r"\btable\(\s*\d+\s*:\s*0")
_FILLS = re.compile(r"\binsert\s+into\b|\b(?:append!|push!|tableInsert|upsert!|tableUpsert)")
_FAILED = re.compile(r"^\s*(?:throws?\s+)?(?:an?\s+)?(?:error|exception)\b", re.IGNORECASE)
NEEDS = tuple((reason, re.compile(pattern, re.MULTILINE)) for reason, pattern in _NEEDS)


@dataclass(frozen=True)
class Example:
    """A script and what the page says it shows; `needs` is why it can't be judged, if it can't."""

    id: str
    function: str
    script: str
    expected: str
    needs: str | None = None


@dataclass(frozen=True)
class _Piece:
    """Script, or an output stated for the script before it; `fails` if its last statement is shown to fail."""

    text: str
    is_output: bool
    fails: bool = False


def examples(function: str, markdown: str) -> list[Example]:
    """All examples of a page whose output is stated; each runs with the statements before it that it needs."""
    statements: list[str] = []
    found: dict[str, Example] = {}
    answered = True
    for piece in _pieces(blocks(markdown)):
        if not piece.is_output:
            new = _statements(piece.text)
            statements += new[:-1] if piece.fails else new
            answered = answered and not new
        elif statements and not answered:
            answered = True
            expected = re.sub(r"\s+//[^\n]*$", "", piece.text.strip("\n"))
            if expected.strip():
                example = _example(function, statements, expected)
                found.setdefault(example.id, example)
    return list(found.values())


def _example(function: str, statements: list[str], expected: str) -> Example:
    script = "\n".join([*_needed(statements), _shown(statements[-1])])
    digest = sha1(f"{script}\0{expected}".encode(), usedforsecurity=False).hexdigest()[:8]
    needs = next((reason for reason, pattern in NEEDS if pattern.search(script)), None)
    if needs is None and _names_database(script):
        needs = "a database of its author"
    if needs is None and _EMPTY_TABLE.search(script) and not _FILLS.search(script):
        needs = "streaming"
    if needs is None and not _parses(script):
        needs = "a script without syntax errors"
    if needs is None and _ERROR.search(expected) and "\n" not in expected:
        needs = "an error, not a value"
    return Example(f"{function}#{digest}", function, script, expected, needs)


def _pieces(parts: list[Block]) -> Iterator[_Piece]:
    in_syntax = after_code = False
    for part in parts:
        if part.kind == "heading":
            in_syntax, after_code = part.text.lower().startswith("syntax"), False
        elif part.kind == "code" and not in_syntax:
            yield from _pieces_of_code(part.text)
            after_code = True
        elif part.kind == "table" and after_code:
            yield _Piece(part.text, True)
        elif part.kind == "text":
            after_code = after_code and bool(_OUTPUT.match(part.text)) and len(part.text) < 40


def _pieces_of_code(code: str) -> Iterator[_Piece]:
    """Script up to each comment that begins with "output", and the output in it."""
    hidden = _STRING.sub(lambda match: "s" * len(match[0]), code)
    start = position = 0
    while comment := _COMMENT.search(hidden, position):
        position = comment.end()
        text = code[comment.start() : comment.end()]
        body = text[2:-2] if text.startswith("/*") else text[2:]
        label = _OUTPUT.match(body)
        if _FAILED.match(body[label.end() :] if label else body):
            yield _Piece(code[start : comment.start()], False, fails=True)
            start = position
            continue
        if label is None:
            continue
        if text.startswith("//") and _goes_on(body[label.end() :]):
            following, position = _commented_lines(code, position)
            body += following
        yield _Piece(code[start : comment.start()], False)
        yield _Piece(body[label.end() :] if label.end() <= len(body) else "", True)
        start = position
    yield _Piece(code[start:], False)


def _goes_on(output: str) -> bool:
    """Whether an output can go on in the next line: it is empty, a dictionary, or a bracket is open."""
    opened = sum(output.count(each) for each in "([{") - sum(output.count(each) for each in ")]}")
    return not output.strip() or "->" in output or opened > 0


def _commented_lines(code: str, position: int) -> tuple[str, int]:
    """The comment lines right below an output comment go on with it."""
    text = ""
    while line := re.compile(r"\n[ \t]*//(?!\s*output)([^\n]*)", re.IGNORECASE).match(code, position):
        text += f"\n{line[1].removeprefix(' ')}"
        position = line.end()
    return text, position


def _statements(text: str) -> list[str]:
    try:
        return [text[each.span.start : each.span.end] for each in parse(text).statements]
    except (ScriptSyntaxError, RecursionError):
        return [text.strip()] if _COMMENT.sub("", text).strip(" ;\n\t") else []


def _parses(script: str) -> bool:
    try:
        parse(script)
    except (ScriptSyntaxError, RecursionError):
        return False
    return True


def _last(statement: str) -> syntax.Node | None:
    try:
        parsed = parse(statement).statements
    except (ScriptSyntaxError, RecursionError):
        return None
    return parsed[-1] if parsed else None


def _shown(statement: str) -> str:
    """The statement, and after an assignment the name it set: that is what the page shows."""
    node = _last(statement)
    if isinstance(node, syntax.Assign) and all(isinstance(target, syntax.Name) for target in node.targets):
        names = [target.id for target in node.targets if isinstance(target, syntax.Name)]
        return f"{statement}\n{names[0] if len(names) == 1 else '(' + ', '.join(names) + ')'}"
    return statement


def _needed(statements: list[str]) -> list[str]:
    """The earlier statements that the last one depends on, by the names in them."""
    wanted = _names(statements[-1])
    kept: list[str] = []
    for statement in reversed(statements[:-1]):
        node = _last(statement)
        if isinstance(node, syntax.ExpressionStatement) and not _changes(statement):
            continue
        if _sets(statement, node) & wanted:
            kept.append(statement)
            wanted |= _names(statement)
    return kept[::-1]


def _names(statement: str) -> set[str]:
    return set(re.findall(r"[^\W\d]\w*", _COMMENT.sub(" ", statement)))


def _changes(statement: str) -> bool:
    return bool(re.search(r"!\s*[({]|!\s+\w|^\s*(?:share|tableInsert|undef)\b|\beval\s*\(", statement))


def _names_database(script: str) -> bool:
    """Whether a script works on a database that it does not make."""
    return '"dfs://' in script and not re.search(r"\bdatabase\s*\(|\bcreate\s+database\b", script, re.IGNORECASE)


def _sets(statement: str, node: syntax.Node | None) -> set[str]:
    """The names a statement gives a meaning or changes."""
    if isinstance(node, syntax.Assign):
        targets = {part.id for target in node.targets for part in syntax.walk(target) if isinstance(part, syntax.Name)}
        return targets | (_names(statement) if _changes(statement) else set())
    if isinstance(node, syntax.FunctionDefinition):
        return {node.name}
    return _names(statement)
