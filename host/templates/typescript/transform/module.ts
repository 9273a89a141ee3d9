// {{name}}: a transform. It makes a Slack message of a pull request's event, and none of any other:
//
//     {"channel": "#pulls"}
import type { Event, Message, Output } from "hookswitch:module/types@0.1.0";
import { Failure, encode, exported, parseBody, parseJson, writeJson } from "./hookswitch.js";

interface Settings {
  channel?: string;
}

let settings: Settings;

export const configure = exported((text: string): void => {
  const value = parseJson(text);
  if (!isSettings(value)) throw new Failure("settings-invalid", 'settings are {"channel": "#pulls"}');
  settings = value;
});

function isSettings(value: unknown): value is Settings {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const { channel, ...others } = value as Record<string, unknown>;
  return Object.keys(others).length === 0 && ["string", "undefined"].includes(typeof channel);
}

export const apply = exported((_: Event, message: Message): Output[] => {
  if (message.eventType !== "pull_request") return [];
  return [{ contentType: "application/json", body: encode(writeJson(slackMessage(json(message)))) }];
});

function slackMessage(body: unknown): object {
  const action = string(body, "/action");
  const login = escapeText(string(body, "/sender/login"));
  const id = integer(body, "/pull_request/id");
  const number = integer(body, "/pull_request/number");
  const title = escapeText(string(body, "/pull_request/title"));
  const url = escapeText(string(body, "/pull_request/html_url"));
  const repository = escapeText(string(body, "/repository/full_name"));
  const repositoryId = integer(body, "/repository/id");
  const merged = action === "closed" && find(body, "/pull_request/merged") === true;
  const verb = merged ? "merged" : escapeText(action.replaceAll("_", " "));
  return {
    text: `${login} ${verb} #${number} ${title}`,
    blocks: [
      { type: "section", text: mrkdwn(`${login} ${verb} <${url}|#${number} ${title}>`) },
      { type: "context", elements: [mrkdwn(repository)] },
    ],
    metadata: { event_type: "github_pull_request", event_payload: { id, number, repository_id: repositoryId } },
    channel: settings.channel,
  };
}

const mrkdwn = (text: string) => ({ type: "mrkdwn", verbatim: true, text });

// Nothing in a payload can mention anybody in Slack, or look like another link.
const escapeText = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function json({ body }: Message): unknown {
  try {
    return parseBody(body);
  } catch {
    throw new Failure("input-invalid", "the body is not JSON");
  }
}

// The value at the place that such a pointer names: "/pull_request/id".
const find = (body: unknown, pointer: string): unknown =>
  pointer.split("/").slice(1).reduce((value, key) => (value as Record<string, unknown> | null | undefined)?.[key], body);

function string(body: unknown, pointer: string): string {
  const value = find(body, pointer);
  if (typeof value !== "string") throw new Failure("input-invalid", `${pointer} is not a string`);
  return value;
}

// A large one is a bigint, so that an id of any size stays what it is.
function integer(body: unknown, pointer: string): number | bigint {
  const value = find(body, pointer);
  if (typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value))) return value;
  throw new Failure("input-invalid", `${pointer} is not an integer`);
}
