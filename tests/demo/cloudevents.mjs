// Reads requests with the published npm SDK: one line of JSON in, {"headers", "body"}; one line out, the event that it reads, or null.

import { createInterface } from "node:readline";
import { HTTP } from "cloudevents";

for await (const line of createInterface({ input: process.stdin })) {
  const { headers, body } = JSON.parse(line);
  let event = null;
  try {
    event = HTTP.toEvent({ headers, body });
  } catch (error) {
    event = { refused: String(error) };
  }
  console.log(JSON.stringify(event));
}
