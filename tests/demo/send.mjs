// Plays GitHub: sends the payloads it publishes, each signed with the code its own client library verifies with.
//
//     ACME_GITHUB_SECRET=… node send.mjs http://127.0.0.1:8080 --tenants acme [--kinds push,issues.opened] [--again 20]
//
// Every payload goes to the source `github` of every tenant; `--kinds` takes only those of some kinds, or of one action
// of a kind. `--again` sends that many a second time, as GitHub's "Redeliver" button does. One line of JSON an answer.

import { createHash, randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { sign } from "@octokit/webhooks-methods";

const CONCURRENCY = 16;
const ANSWER_TIMEOUT_MS = 15_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tenants: { type: "string" },
    kinds: { type: "string" },
    again: { type: "string", default: "0" },
  },
});
const [ingest] = positionals;

const kinds = values.kinds?.split(",");
const wanted = (name, { action }) => !kinds || kinds.includes(name) || kinds.includes(`${name}.${action}`);

// The kind of event, its place among the examples of its kind, and the bytes to send.
const payloads = createRequire(import.meta.url)("@octokit/webhooks-examples").flatMap(({ name, examples }) =>
  examples
    .map((payload, example) => ({ name, example, payload, body: JSON.stringify(payload) }))
    .filter(({ payload }) => wanted(name, payload)),
);

const requests = values.tenants.split(",").flatMap((tenant) => {
  const secret = process.env[`${tenant.toUpperCase()}_GITHUB_SECRET`];
  return payloads.map((payload) => ({ ...payload, tenant, secret, guid: randomUUID(), again: false }));
});

await sendAll(requests);
await sendAll(requests.slice(0, Number(values.again)).map((request) => ({ ...request, again: true })));

async function sendAll(queue) {
  const waiting = queue.values(); // shared: each worker takes the next one
  const worker = async () => {
    for (const request of waiting) await send(request);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

async function send({ name, example, body, tenant, secret, guid, again }) {
  const report = { tenant, name, example, guid, again, sha256: createHash("sha256").update(body).digest("hex") };
  try {
    const response = await fetch(`${ingest}/in/${tenant}/github`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "user-agent": "GitHub-Hookshot/demo",
        "x-github-delivery": guid,
        "x-github-event": name,
        "x-hub-signature-256": await sign(secret, body),
      },
      body,
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    console.log(JSON.stringify({ ...report, status: response.status, answer: await response.text() }));
  } catch (error) {
    console.log(JSON.stringify({ ...report, status: 0, answer: `${error.message}: ${error.cause?.message ?? ""}` }));
  }
}
