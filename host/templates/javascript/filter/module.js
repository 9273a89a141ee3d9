// {{name}}: a filter. It accepts messages of some types, and with some value in their body:
//
//     {"events": ["push"], "pointer": "/ref", "equals": "refs/heads/main"}
import { Failure, exported, parseBody, parseJson } from "./hookswitch.js";

const USAGE = 'settings are {"events": ["push"], "pointer": "/a/b", "equals": "c"}; pointer and equals go together';

let settings;

export const configure = exported((text) => {
  settings = parseJson(text);
  if (!isSettings(settings)) throw new Failure("settings-invalid", USAGE);
});

export const accept = exported((event, message) => {
  const { events, pointer, equals } = settings;
  if (events && !events.includes(message.eventType)) return reject(`the event type is ${message.eventType}`);
  if (pointer === undefined) return { tag: "accept" };
  const value = find(json(message), pointer);
  if (value === undefined) return reject(`${pointer} is not there`);
  return value === equals ? { tag: "accept" } : reject(`${pointer} is something else`);
});

const reject = (reason) => ({ tag: "reject", val: reason });

function json({ body }) {
  try {
    return parseBody(body);
  } catch {
    throw new Failure("input-invalid", "the body is not JSON");
  }
}

// The value at a JSON pointer such as "/a/0/b", or undefined.
function find(value, pointer) {
  for (const token of pointer.split("/").slice(1)) {
    const key = token.replaceAll("~1", "/").replaceAll("~0", "~");
    const there = Array.isArray(value) ? /^(0|[1-9]\d*)$/.test(key) && key < value.length : isObject(value) && Object.hasOwn(value, key);
    if (!there) return undefined;
    value = value[key];
  }
  return value;
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function isSettings(value) {
  if (!isObject(value)) return false;
  const { events, pointer, equals, ...others } = value;
  return (
    Object.keys(others).length === 0 &&
    (events === undefined || (Array.isArray(events) && events.every((item) => typeof item === "string"))) &&
    (pointer === undefined || (typeof pointer === "string" && /^(\/|$)/.test(pointer))) &&
    (equals === undefined || equals === null || ["string", "boolean", "bigint"].includes(typeof equals) || Number.isInteger(equals)) &&
    (pointer === undefined) === (equals === undefined)
  );
}
