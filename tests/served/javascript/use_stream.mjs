// The React hook against the server at the address given: a question, an answer, a reload in mid-stream.
import assert from "node:assert/strict";
import { createElement } from "react";
import { act, create } from "react-test-renderer";

const kept = new Map();
globalThis.IS_REACT_ACT_ENVIRONMENT = true;
globalThis.window = {
  sessionStorage: {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  },
};
const { useStream } = await import("@langchain/langgraph-sdk/react");

const WHOLE = Array.from({ length: 50 }, (_, number) => `t${number}`).join(" ");
const asked = (content) => ({ messages: [{ type: "human", content }] });

/** A component that uses the hook; `seen` is what it last returned. */
async function mounted(options) {
  const page = { seen: undefined, threadId: options.threadId };
  function Page() {
    page.seen = useStream({
      apiUrl: process.argv[2],
      fetchStateHistory: true,
      reconnectOnMount: true,
      onThreadId: (threadId) => (page.threadId = threadId),
      ...options,
    });
    page.shown = [page.seen.messages, page.seen.values, page.seen.interrupt, page.seen.isLoading];
    return null;
  }
  await act(async () => (page.root = create(createElement(Page))));
  return page;
}

async function until(what, condition) {
  for (let tries = 0; tries < 400; tries++) {
    if (condition()) return;
    await act(() => new Promise((resolve) => setTimeout(resolve, 25)));
  }
  throw new Error(`never: ${what}`);
}

const scenarios = {
  async conversation() {
    const page = await mounted({ assistantId: "tokens" });
    await act(async () => page.seen.submit(asked("hello")));
    await until("the answer", () => !page.seen.isLoading && page.seen.messages.at(-1)?.content === WHOLE);
    await act(async () => page.seen.submit(asked("again")));
    await until("the second answer", () => !page.seen.isLoading && page.seen.messages.length === 4);
    assert.deepEqual(page.seen.messages.map((message) => message.type), ["human", "ai", "human", "ai"]);
    assert.ok(page.seen.history.length > 1);
    assert.equal(page.seen.error, undefined);
    await act(async () => page.root.unmount());
  },

  async interrupt() {
    const page = await mounted({ assistantId: "asker" });
    await act(async () => page.seen.submit({ text: "a" }));
    await until("the question", () => page.seen.interrupt?.value?.question === "well?");
    await until("the end of the run", () => !page.seen.isLoading);
    await act(async () => page.seen.submit(undefined, { command: { resume: "yes" } }));
    await until("the answer", () => !page.seen.isLoading && page.seen.values.log?.[0] === "answer yes");
    await act(async () => page.root.unmount());
  },

  async reload() {
    const before = await mounted({ assistantId: "slow" });
    await act(async () => void before.seen.submit({ text: "1.5" }));
    await until("the run", () => kept.size === 1);
    const threadId = before.threadId;
    await act(async () => before.root.unmount());
    const after = await mounted({ assistantId: "slow", threadId });
    await until("the end of the run", () => after.seen.values.log?.[0] === "1.5");
    await act(async () => after.root.unmount());
  },

  async failure() {
    let told;
    const page = await mounted({ assistantId: "boom", onError: (error) => (told = error) });
    await act(async () => page.seen.submit({ text: "a" }));
    await until("the error", () => String(page.seen.error ?? "").includes("boom!"));
    assert.ok(String(told).includes("boom!"));
    await act(async () => page.root.unmount());
  },
};

for (const [name, scenario] of Object.entries(scenarios)) {
  kept.clear();
  try {
    await scenario();
  } catch (error) {
    console.error(`${name}: ${error.stack}`);
    process.exit(1);
  }
}
console.log(Object.keys(scenarios).join(" "));
process.exit(0);
