"""What the offline model does when it is asked for servers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from offline.world import ALL_TOOLS, World

from core.offline.intents import recognise

TOOLS = [
    "create_environment", "list_environments", "use_environment", "delete_environment", "extend_environment",
    "write_file",
]  # fmt: skip


@dataclass
class Cloud(World):
    """A world with servers to rent. `slow` is how often a new one is looked at before it runs."""

    tables: list[str] = field(default_factory=lambda: ["trades"])
    tools: list[str] = field(default_factory=lambda: [*ALL_TOOLS, *TOOLS])
    records: list[dict[str, Any]] = field(default_factory=list)
    works_in: str = "default"
    slow: int = 0
    refusal: str = ""

    def record(self, name: str, state: str = "RUNNING", **more: Any) -> dict[str, Any]:
        made = {"environment_id": f"env-{name}", "name": name, "state": state, **more}
        self.records.append(made)
        return made

    def answer(self, name: str, args: dict[str, Any]) -> tuple[str, bool]:
        if name not in TOOLS:
            return super().answer(name, args)
        if self.refusal:
            return f"The user rejected this; it was not run. Reason: {self.refusal}.", True
        if name == "create_environment":
            made = self.record(args["name"], "PROVISIONING" if self.slow else "RUNNING", cpu=args["cpu"], memory=8.0)
            self.works_in = made["environment_id"]
            return json.dumps({"note": "made", "environment": made}), False
        if name == "list_environments":
            self.slow -= 1
            if self.slow == 0:
                self.records[-1]["state"] = "RUNNING"
            return json.dumps({"environments": self.records, "this_thread_works_in": self.works_in}), False
        if name == "write_file":
            return f"Wrote {args['path']}.", False
        found = next((each for each in self.records if each["name"] == args["environment"]), {"state": "RUNNING"})
        return json.dumps({"note": "done", "environment": found}), False


@pytest.mark.parametrize(
    "text",
    ["give me a 4-core DolphinDB for two hours", "给我一个4核的DolphinDB用两个小时", "租一台4核的服务器，两小时"],
)
def test_a_server_is_rented(text: str) -> None:
    cloud = Cloud()
    answer = cloud.ask(text)
    assert cloud.calls[0] == (
        "create_environment",
        {"name": "database", "cpu": 4, "memory": 8, "hours": 2, "workspace": True, "spot": False},
    )
    assert "env-database" in answer


def test_sizes_and_names_are_taken_from_the_words() -> None:
    cloud = Cloud()
    cloud.ask("rent a DolphinDB server named lab with 8 cores and 64 GB for a day, without a workspace, on spot")
    assert cloud.calls[0][1] == {
        "name": "lab", "cpu": 8, "memory": 64, "hours": 24, "workspace": False, "spot": True,
    }  # fmt: skip


def test_a_server_that_is_still_being_made_is_waited_for() -> None:
    cloud = Cloud(slow=3)
    answer = cloud.ask("create an environment for one hour")
    assert cloud.names[:4] == ["create_environment", *["list_environments"] * 3]
    assert cloud.calls[1][1] == {"wait_for": "database"}
    assert "RUNNING" in answer


def test_what_follows_is_done_there() -> None:
    cloud = Cloud()
    answer = cloud.ask("give me a 4-core DolphinDB for two hours, then create sample trades data and show the VWAP")
    assert cloud.names[:2] == ["create_environment", "create_sample_data"]
    assert "env-database" in answer
    assert "wavg(price, qty)" in cloud.scripts[0]


def test_a_rejected_server_is_not_asked_for_again() -> None:
    cloud = Cloud(refusal="too dear")
    assert "too dear" in cloud.ask("give me a 4-core DolphinDB for two hours")
    assert cloud.names == ["create_environment", "attempt_completion"]


@pytest.mark.parametrize("text", ["list my environments", "列出我的环境", "which environments do I have?"])
def test_environments_are_listed(text: str) -> None:
    cloud = Cloud()
    assert "env-" not in cloud.ask(text)
    cloud.record("lab", cpu=4, memory=8)
    assert "lab (env-lab): RUNNING" in cloud.ask(text)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("delete the environment", ("delete_environment", {"environment": "lab"})),
        ("把环境删除", ("delete_environment", {"environment": "lab"})),
        ("give back the server other", ("delete_environment", {"environment": "other"})),
        ("extend it by 3 hours", ("extend_environment", {"environment": "lab", "hours": 3})),
        ("把环境延长两个小时", ("extend_environment", {"environment": "lab", "hours": 2})),
        ("switch to environment other", ("use_environment", {"environment": "other"})),
        ("use the default environment", ("use_environment", {"environment": "default"})),
        ("回到默认环境", ("use_environment", {"environment": "default"})),
    ],
)
def test_the_environment_that_is_named_or_worked_in_is_meant(text: str, call: Any) -> None:
    cloud = Cloud(works_in="env-lab")
    cloud.record("other")
    cloud.record("lab")
    cloud.ask(text)
    assert call in cloud.calls


def test_one_of_several_is_asked_for() -> None:
    cloud = Cloud(human=lambda question, options: options[1])
    cloud.record("one")
    cloud.record("two")
    cloud.ask("delete the environment")
    assert ("delete_environment", {"environment": "two"}) in cloud.calls


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("write the script to the workspace", "scripts/script.dos"),
        ("save the last script to the workspace as jobs/vwap.dos", "jobs/vwap.dos"),
        ("把脚本写到工作区", "scripts/script.dos"),
    ],
)
def test_the_last_script_is_written(text: str, path: str) -> None:
    cloud = Cloud()
    cloud.ask("average price")
    cloud.ask(text)
    assert cloud.calls[-2] == (
        "write_file", {"path": path, "content": "select avg(price) as avg_price from trades\n"}
    )  # fmt: skip


def test_without_a_workspace_it_says_so() -> None:
    cloud = Cloud(tools=[*ALL_TOOLS, "create_environment", "list_environments"])
    cloud.ask("average price")
    assert "no workspace" in cloud.ask("write the script to the workspace")


def test_planning_only_plans() -> None:
    cloud = Cloud(mode="plan", tools=["list_environments", "plan_mode_response"])
    assert "4 vCPUs, 8 GiB, 2 h" in cloud.ask("give me a 4-core DolphinDB for two hours")
    assert cloud.names == ["plan_mode_response"]


@pytest.mark.parametrize(
    "text",
    [
        "average latency by server", "delete rows where environment is 3", "drop table servers", "连续3天上涨的股票",
        "total return by server", "I want the average price of servers", "delete data of server 3",
        "运行环境的平均温度",
    ],
)  # fmt: skip
def test_data_about_servers_is_data(text: str) -> None:
    about = {"rent", "list_environments", "give_back", "extend", "use_environment", "write_script"}
    assert recognise(text) not in about
