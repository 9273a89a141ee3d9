// {{name}}: a filter. It accepts messages of some types, and with some value in their body:
//
//     {"events": ["push"], "pointer": "/ref", "equals": "refs/heads/main"}
import type { Decision, Event, Message } from "hookswitch:module/types@0.1.0";
import { Failure, exported, parseBody, parseJson } from "./hookswitch.js";

interface Settings {
  events?: string[];
  pointer?: string;
  equals?: string | boolean | null | number | bigint;
}

const USAGE = 'settings are {"events": ["push"], "pointer": "/a/b", "equals": "c"}; pointer and equals go together';

let settings: Settings;

export const configure = exported((text: string): void => {
  const value = parseJson(text);
  if (!isSettings(value)) throw new Failure("settings-invalid", USAGE);
  settings = value;
});

export const accept = exported((_: Event, message: Message): Decision => {
  const { events, pointer, equals } = settings;
  if (events && !events.includes(message.eventType)) return reject(`the event type is ${message.eventType}`);
  if (pointer === undefined) return { tag: "accept" };
  const value = find(json(message), pointer);
  if (value === undefined) return reject(`${pointer} is not there`);
  return value === equals ? { tag: "accept" } : reject(`${pointer} is something else`);
});

const reject = (reason: string): Decision => ({ tag: "reject", val: reason });

function json({ body }: Message): unknown {
  try {
    return parseBody(body);
  } catch {
    throw new Failure("input-invalid", "the body is not JSON");
  }
}

// The value at a JSON pointer such as "/a/0/b", or undefined.
function find(value: unknown, pointer: string): unknown {
  for (const token of pointer.split("/").slice(1)) {
    const key = token.replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(value) && /^(0|[1-9]\d*)$/.test(key)) value = value[Number(key)];
    else if (isObject(value) && Object.hasOwn(value, key)) value = value[key];
    else return undefined;
  }
  return value;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function isSettings(value: unknown): value is Settings {
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
