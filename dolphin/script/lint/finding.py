"""What a lint rule reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dolphin.script.syntax import Span

Severity: TypeAlias = Literal["error", "warning", "hint"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One pitfall. `fix` is the corrected form of the text at `span`, None when there is no single one.

    A `mechanical` fix can be put in place of the span as it is; any other shows the shape of the correction.
    """

    rule: str
    message: str
    span: Span
    fix: str | None = None
    mechanical: bool = False
    severity: Severity = "warning"


def apply_fixes(text: str, findings: Iterable[Finding]) -> str:
    """`text` with the mechanical fixes put in; of two that overlap, the outer one is left for the next round."""
    chosen: list[Finding] = []
    fixable = (item for item in findings if item.mechanical and item.fix is not None)
    for finding in sorted(fixable, key=lambda item: item.span.end - item.span.start):
        if all(finding.span.end <= other.span.start or other.span.end <= finding.span.start for other in chosen):
            chosen.append(finding)
    for finding in sorted(chosen, key=lambda item: item.span.start, reverse=True):
        text = text[: finding.span.start] + (finding.fix or "") + text[finding.span.end :]
    return text


def span_at(text: str, start: int, end: int) -> Span:
    line_start = text.rfind("\n", 0, start) + 1
    return Span(start, end, text.count("\n", 0, start) + 1, start - line_start + 1)
