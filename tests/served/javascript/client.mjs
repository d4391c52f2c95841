// LangGraph's JavaScript client against the server at the address given.
import assert from "node:assert/strict";
import { Client } from "@langchain/langgraph-sdk";

const client = new Client({ apiUrl: process.argv[2], apiKey: null });
const HELLO = { messages: [{ role: "user", content: "hello" }] };
const WHOLE = Array.from({ length: 50 }, (_, number) => `t${number}`).join(" ");

async function all(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

async function fresh(metadata) {
  return (await client.threads.create({ metadata })).thread_id;
}

async function ran(graph, input) {
  const thread = await fresh();
  await client.runs.wait(thread, graph, { input });
  return thread;
}

const scenarios = {
  async assistants() {
    const [system] = await client.assistants.search({ graphId: "parent", metadata: { created_by: "system" } });
    const drawing = await client.assistants.getGraph(system.assistant_id, { xray: true });
    assert.ok(drawing.nodes.some((node) => node.id === "child:echo"));
    assert.ok((await client.assistants.getSchemas(system.assistant_id)).state_schema.properties.log);
    assert.deepEqual(Object.keys(await client.assistants.getSubgraphs(system.assistant_id)), ["child"]);
    const own = await client.assistants.create({ graphId: "who", context: { colour: "blue" }, name: "mine" });
    const changed = await client.assistants.update(own.assistant_id, { context: { colour: "grey" } });
    assert.equal(changed.version, 2);
    assert.equal((await client.assistants.getVersions(own.assistant_id)).length, 2);
    await client.assistants.setLatest(own.assistant_id, 1);
    const ended = await client.runs.wait(null, own.assistant_id, { input: { text: "" } });
    assert.equal(ended.log[2], "blue");
    await client.assistants.delete(own.assistant_id);
    await assert.rejects(client.assistants.get(own.assistant_id), /404/);
  },

  async tokens() {
    const thread = await fresh();
    let created;
    const parts = await all(
      client.runs.stream(thread, "tokens", {
        input: HELLO,
        streamMode: ["messages-tuple", "values"],
        onRunCreated: (run) => (created = run),
      }),
    );
    assert.equal(created.thread_id, thread);
    assert.equal(parts[0].event, "metadata");
    assert.equal(parts[0].data.run_id, created.run_id);
    const tokens = parts.filter((part) => part.event === "messages").map((part) => part.data[0].content);
    assert.equal(tokens.join(""), WHOLE);
    assert.equal(parts.at(-1).data.messages.at(-1).content, WHOLE);
  },

  async subgraphs() {
    const thread = await fresh();
    const parts = await all(
      client.runs.stream(thread, "parent", { input: { text: "a" }, streamMode: "updates", streamSubgraphs: true }),
    );
    assert.ok(parts.some((part) => part.event.startsWith("updates|child:")));
    assert.equal((await client.threads.getState(thread)).values.log[0], "a");
  },

  async interrupts() {
    const thread = await fresh();
    const stopped = await client.runs.wait(thread, "asker", { input: { text: "a" } });
    assert.equal(stopped.__interrupt__[0].value.question, "well?");
    assert.equal((await client.threads.get(thread)).status, "interrupted");
    const ended = await client.runs.wait(thread, "asker", { command: { resume: "yes" } });
    assert.deepEqual(ended.log, ["answer yes"]);
    const many = await fresh();
    const asked = await client.runs.wait(many, "fan", { input: { text: "a" } });
    const resume = Object.fromEntries(asked.__interrupt__.map((item, place) => [item.id, String(place)]));
    const answered = await client.runs.wait(many, "fan", { command: { resume } });
    assert.deepEqual(answered.log.toSorted(), ["answer 0", "answer 1"]);
  },

  async rejoining() {
    const thread = await fresh();
    const options = { input: HELLO, streamMode: ["messages-tuple", "values"], streamResumable: true };
    const whole = [];
    const leaving = new AbortController();
    try {
      for await (const part of client.runs.stream(thread, "tokens", {
        ...options,
        onDisconnect: "continue",
        signal: leaving.signal,
      })) {
        whole.push(part);
        if (whole.length === 20) leaving.abort();
      }
    } catch (error) {
      assert.equal(error.name, "AbortError");
    }
    const run = whole[0].data.run_id;
    const rest = await all(client.runs.joinStream(thread, run, { lastEventId: whole[9].id }));
    assert.deepEqual(rest.slice(0, 5), whole.slice(10, 15));
    assert.equal(rest.at(-1).data.messages.at(-1).content, WHOLE);
    assert.equal((await client.runs.join(thread, run)).messages.at(-1).content, WHOLE);
  },

  async cancelling() {
    const thread = await fresh();
    const run = await client.runs.create(thread, "slow", { input: { text: "20" } });
    await client.runs.cancel(thread, run.run_id, true);
    assert.equal((await client.runs.get(thread, run.run_id)).status, "interrupted");
    await client.runs.delete(thread, run.run_id);
    assert.deepEqual(await client.runs.list(thread), []);
    const short = await client.runs.list(await ran("echo", { text: "a" }), { select: ["status"] });
    assert.deepEqual(short, [{ status: "success" }]);
    const busy = await fresh();
    await client.runs.create(busy, "slow", { input: { text: "20" } });
    const second = { input: { text: "b" }, multitaskStrategy: "reject" };
    await assert.rejects(client.runs.create(busy, "echo", second), /409/);
    const ended = await client.runs.wait(busy, "echo", { ...second, multitaskStrategy: "rollback" });
    assert.deepEqual(ended.log, ["b"]);
  },

  async history() {
    const thread = await fresh();
    await client.runs.wait(thread, "echo", { input: { text: "a" } });
    await client.runs.wait(thread, "echo", { input: { text: "b" } });
    const history = await client.threads.getHistory(thread);
    assert.deepEqual(history[0].values.log, ["a", "b"]);
    const first = history.find((state) => state.next.length === 0 && state.values.log.length === 1);
    const before = await client.threads.getHistory(thread, { before: { configurable: first.checkpoint }, limit: 1 });
    assert.deepEqual(before[0].checkpoint, first.parent_checkpoint);
    const forked = await client.runs.wait(thread, "echo", { input: { text: "c" }, checkpoint: first.checkpoint });
    assert.deepEqual(forked.log, ["a", "c"]);
    await client.threads.updateState(thread, { values: { log: ["d"] }, asNode: "echo" });
    assert.deepEqual((await client.threads.getState(thread)).values.log, ["a", "c", "d"]);
    const then = await client.threads.getState(thread, first.checkpoint);
    assert.deepEqual(then.values.log, ["a"]);
    const copied = await client.threads.copy(thread);
    assert.deepEqual((await client.threads.getState(copied.thread_id)).values.log, ["a", "c", "d"]);
  },

  async searching() {
    const mark = crypto.randomUUID();
    const thread = await fresh({ mark });
    await client.runs.wait(thread, "echo", { input: { text: mark } });
    await client.threads.patchState(thread, { seen: true });
    const found = await client.threads.search({
      metadata: { mark, seen: true },
      values: { text: mark },
      status: "idle",
      sortBy: "updated_at",
    });
    assert.deepEqual(found.map((item) => item.thread_id), [thread]);
    assert.equal(await client.threads.count({ metadata: { mark } }), 1);
    await client.threads.update(thread, { ttl: 5 });
    await client.threads.delete(thread);
    await assert.rejects(client.threads.get(thread), /404/);
  },

  async store() {
    const space = ["notes", crypto.randomUUID()];
    await client.store.putItem(space, "one", { text: "the first note" });
    await client.store.putItem(space, "two", { text: "another" }, { ttl: 10 });
    assert.equal((await client.store.getItem(space, "one")).value.text, "the first note");
    const found = await client.store.searchItems(space, { query: "first note" });
    assert.deepEqual(found.items.map((item) => item.key), ["one", "two"]);
    assert.deepEqual((await client.store.listNamespaces({ prefix: space })).namespaces, [space]);
    await client.store.deleteItem(space, "one");
    assert.equal(await client.store.getItem(space, "one"), null);
  },

  async stateless() {
    assert.deepEqual((await client.runs.wait(null, "echo", { input: { text: "a" } })).log, ["a"]);
    const parts = await all(client.runs.stream(null, "echo", { input: { text: "b" }, streamMode: "custom" }));
    assert.deepEqual(parts.at(-1).data, { said: "b" });
    const run = await client.runs.create(null, "echo", { input: { text: "e" } });
    const followed = await all(client.runs.joinStream(null, run.run_id, { streamMode: ["values"] }));
    assert.deepEqual(followed.at(-1).data.log, ["e"]);
    const made = await client.runs.createBatch([
      { assistantId: "echo", input: { text: "c" } },
      { assistantId: "echo", input: { text: "d" } },
    ]);
    assert.equal(made.length, 2);
    await assert.rejects(client.runs.wait(null, "boom", { input: { text: "" } }), /boom/);
  },

  async crons() {
    const cron = await client.crons.create("echo", { schedule: "0 0 1 1 *", input: { text: "a" } });
    assert.ok((await client.crons.search({ limit: 100 })).some((item) => item.cron_id === cron.cron_id));
    await client.crons.delete(cron.cron_id);
  },
};

const failed = [];
await Promise.all(
  Object.entries(scenarios).map(([name, scenario]) =>
    scenario().catch((error) => failed.push(`${name}: ${error.stack}`)),
  ),
);
if (failed.length) {
  console.error(failed.join("\n\n"));
  process.exit(1);
}
console.log(Object.keys(scenarios).join(" "));
