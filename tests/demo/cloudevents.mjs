// Reads and makes requests with the published npm SDK, one line of JSON for each. {"headers", "body"}: the event that it reads, or what it
// refuses. {"make", "fields"}: an event with these fields as the headers and the body of a request, `binary` or `structured`.

import { createInterface } from "node:readline";
import { CloudEvent, HTTP } from "cloudevents";

function read({ headers, body }) {
  try {
    return HTTP.toEvent({ headers, body });
  } catch (error) {
    return { refused: String(error) };
  }
}

function make({ make: mode, fields }) {
  const event = new CloudEvent({ ...fields, datacontenttype: "application/json", data: { n: 1 } });
  const { headers, body } = HTTP[mode](event);
  return { headers, body };
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  console.log(JSON.stringify(asked.make ? make(asked) : read(asked)));
}
