"""Snapshots of a thread's state in the shape the thread API gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from core.errors import InvalidInputError
from server.json import interrupt_json

CHECKPOINT_KEYS = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")
HIDDEN_PREFIXES = ("__", "langgraph_auth_user")


def checkpoint_of(config: RunnableConfig | None) -> dict[str, Any] | None:
    """The checkpoint a config points at."""
    found = place_of(config)
    return found if "checkpoint_id" in found else None


def place_of(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where a config points: at a checkpoint, or at the latest of a subgraph's when it names none."""
    configurable = (config or {}).get("configurable", {})
    return {key: configurable[key] for key in CHECKPOINT_KEYS if configurable.get(key) is not None}


def public_config(config: RunnableConfig | None) -> RunnableConfig | None:
    """A config without what only this process may see."""
    if not config:
        return config
    configurable = {
        key: value for key, value in config.get("configurable", {}).items() if not key.startswith(HIDDEN_PREFIXES)
    }
    return {**config, "configurable": configurable}


def snapshot_json(snapshot: StateSnapshot) -> dict[str, Any]:
    tasks = []
    for task in snapshot.tasks:
        state = task.state
        tasks.append(
            {
                "id": task.id,
                "name": task.name,
                "path": task.path,
                "error": repr(task.error) if isinstance(task.error, BaseException) else task.error,
                "interrupts": [interrupt_json(item, full=False) for item in task.interrupts],
                "checkpoint": place_of(state) if isinstance(state, dict) else None,
                "state": snapshot_json(state) if isinstance(state, StateSnapshot) else None,
                "result": task.result,
            }
        )
    checkpoint = checkpoint_of(snapshot.config)
    parent = checkpoint_of(snapshot.parent_config)
    return {
        "values": snapshot.values,
        "next": list(snapshot.next),
        "tasks": tasks,
        "metadata": _metadata(snapshot.metadata, checkpoint),
        "created_at": snapshot.created_at,
        "checkpoint": checkpoint,
        "parent_checkpoint": parent,
        "interrupts": [interrupt_json(item, full=False) for item in snapshot.interrupts],
        "checkpoint_id": checkpoint and checkpoint["checkpoint_id"],
        "parent_checkpoint_id": parent and parent["checkpoint_id"],
    }


def _metadata(metadata: Any, checkpoint: dict[str, Any] | None) -> Any:
    return {**metadata, "thread_id": checkpoint["thread_id"]} if metadata and checkpoint else metadata


def empty_state(checkpoint: dict[str, Any] | None = None) -> dict[str, Any]:
    """The state of a thread that no graph has run on."""
    return {
        "values": {},
        "next": [],
        "tasks": [],
        "metadata": None,
        "created_at": None,
        "checkpoint": checkpoint,
        "parent_checkpoint": None,
        "interrupts": [],
        "checkpoint_id": checkpoint and checkpoint.get("checkpoint_id"),
        "parent_checkpoint_id": None,
    }


def selected_state(state: dict[str, Any], select: Sequence[str] | None) -> dict[str, Any]:
    """The fields of a state asked for, and with `values.<key>` one of its values only; all without `select`."""
    if select is None:
        return state
    found: dict[str, Any] = {}
    for name in select:
        field, _, key = name.partition(".")
        if field not in state or (key and field != "values"):
            raise InvalidInputError(f"A state has no {name!r}.", f"It has: {', '.join(state)}; and values.<key>.")
        if not key:
            found[field] = state[field]
        elif isinstance(state["values"], Mapping) and key in state["values"] and "values" not in select:
            found.setdefault("values", {})[key] = state["values"][key]
    return found


def thread_interrupts(snapshot: StateSnapshot) -> dict[str, Any]:
    """What a thread waits for, by task."""
    return {
        task.id: [interrupt_json(item, full=False) for item in task.interrupts]
        for task in snapshot.tasks
        if task.interrupts
    }
