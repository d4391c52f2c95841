"""Users for locust: each asks the agent now and then on a thread of its own, and checks what it is answered.

Run by `python -m benchmarks load`, in an environment of locust's own.
"""

import os

from locust import HttpUser, constant_pacing, task  # type: ignore[import-not-found]

SECONDS_BETWEEN = float(os.environ.get("LOAD_SECONDS_BETWEEN", "100"))
QUESTIONS = ("create sample trades with 500 rows", "每只股票的VWAP是多少？", "how many rows are in trades?")


class Analyst(HttpUser):  # type: ignore[misc]
    """A new thread, some sample data, and then questions about it."""

    wait_time = constant_pacing(SECONDS_BETWEEN)

    def on_start(self) -> None:
        self.asked = 0
        self.thread = self.client.post("/threads", json={}, name="create thread").json()["thread_id"]

    @task  # type: ignore[untyped-decorator]
    def ask(self) -> None:
        question = QUESTIONS[self.asked % len(QUESTIONS)]
        self.asked += 1
        body = {
            "assistant_id": "agent",
            "input": {"messages": [{"role": "user", "content": question}]},
        }
        with self.client.post(
            f"/threads/{self.thread}/runs/wait", json=body, name="run", catch_response=True, timeout=120
        ) as answered:
            if answered.status_code != 200:
                return
            ended = answered.json()
            answer = ended.get("answer") or {}
            if answer.get("status") != "completed" or not answer.get("text"):
                answered.failure(
                    f"{question}: {str(answer or ended.get('__error__') or ended.get('__interrupt__'))[:200]}"
                )
