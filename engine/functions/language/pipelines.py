"""Tasks in steps."""

from __future__ import annotations

from engine.arguments import function_argument, positive_argument
from engine.context import Context
from engine.errors import CallError
from engine.functions.registry import Registry
from engine.values import NOTHING, AnyVector, Nothing, Value

functions = Registry()


@functions.builtin("pipeline", "initTasks, followers, [queueDepth=2]", context=True)
def pipeline(context: Context, tasks: Value, followers: Value, depth: Value = NOTHING) -> Value:
    """What the last step gives for each task; the steps of one task come before those of the next."""
    positive_argument(depth, "queueDepth", 2)
    starts = tasks.items if isinstance(tasks, AnyVector) else [tasks]
    steps = [
        function_argument(each, "followers")
        for each in (followers.items if isinstance(followers, AnyVector) else [followers])
    ]
    results: list[Value] = []
    for start in starts:
        context.check()
        value = context.call(function_argument(start, "initTasks"), [])
        for step in steps:
            if isinstance(value, Nothing):
                raise CallError("all functions but the last one of followers must return a value.")
            value = context.call(step, [value])
        results.append(value)
    return NOTHING if any(isinstance(each, Nothing) for each in results) else AnyVector(results)
