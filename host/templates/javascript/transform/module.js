// {{name}}: a transform. It makes a Slack message of a pull request's event, and none of any other:
//
//     {"channel": "#pulls"}
import { Failure, encode, exported, parseBody, parseJson, writeJson } from "./hookswitch.js";

let settings;

export const configure = exported((text) => {
  settings = parseJson(text);
  const isObject = typeof settings === "object" && settings !== null && !Array.isArray(settings);
  const { channel, ...others } = isObject ? settings : { wrong: true };
  if (Object.keys(others).length > 0 || !["string", "undefined"].includes(typeof channel)) {
    throw new Failure("settings-invalid", 'settings are {"channel": "#pulls"}');
  }
});

export const apply = exported((event, message) => {
  if (message.eventType !== "pull_request") return [];
  const body = json(message);
  return [{ contentType: "application/json", body: encode(writeJson(slackMessage(body))) }];
});

function slackMessage(body) {
  const action = string(body, "/action");
  const login = escapeText(string(body, "/sender/login"));
  const id = integer(body, "/pull_request/id");
  const number = integer(body, "/pull_request/number");
  const title = escapeText(string(body, "/pull_request/title"));
  const url = escapeText(string(body, "/pull_request/html_url"));
  const repository = escapeText(string(body, "/repository/full_name"));
  const repositoryId = integer(body, "/repository/id");
  const merged = action === "closed" && body.pull_request.merged === true;
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

const mrkdwn = (text) => ({ type: "mrkdwn", verbatim: true, text });

// Nothing in a payload can mention anybody in Slack, or look like another link.
const escapeText = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function json({ body }) {
  try {
    return parseBody(body);
  } catch {
    throw new Failure("input-invalid", "the body is not JSON");
  }
}

// The value at the place that such a pointer names: "/pull_request/id".
const find = (body, pointer) => pointer.split("/").slice(1).reduce((value, key) => value?.[key], body);

function string(body, pointer) {
  const value = find(body, pointer);
  if (typeof value !== "string") throw new Failure("input-invalid", `${pointer} is not a string`);
  return value;
}

// A large one is a BigInt, so that an id of any size stays what it is.
function integer(body, pointer) {
  const value = find(body, pointer);
  if (typeof value !== "bigint" && !Number.isInteger(value)) {
    throw new Failure("input-invalid", `${pointer} is not an integer`);
  }
  return value;
}
