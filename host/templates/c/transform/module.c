// {{name}}: a transform. It makes a Slack message of a pull request's event, and none of any other:
//
//     {"channel": "#pulls"}
#include "hookswitch.h"
#include "json.h"

static bool configure(hs_text text, hs_failure *failure);
static bool apply(const hs_event *event, const hs_message *message, hs_outputs *outputs, hs_failure *failure);
HS_TRANSFORM(configure, apply)

// The settings: where to post, or nothing.
static hs_option_text channel;

// What the message is made of. Integers are kept as they are written: an id may be larger than any C integer.
typedef struct {
  hs_text action, login, title, url, repository;
  json id, number, repository_id;
  bool merged;
} pull_request;

static bool input_invalid(hs_failure *failure, hs_text first, hs_text second) {
  buffer message = {0};
  put(&message, first);
  put(&message, second);
  *failure = (hs_failure){hs_literal("input-invalid"), text_of(&message)};
  return false;
}

static bool read_string(json body, hs_text pointer, hs_text *text, hs_failure *failure) {
  json value;
  if (json_find(body, pointer, &value) && json_string(value, text)) return true;
  return input_invalid(failure, pointer, hs_literal(" is not a string"));
}

static bool read_integer(json body, hs_text pointer, json *integer, hs_failure *failure) {
  if (json_find(body, pointer, integer) && json_is_integer(*integer)) return true;
  return input_invalid(failure, pointer, hs_literal(" is not an integer"));
}

static bool read(json body, pull_request *pull, hs_failure *failure) {
  json merged;
  pull->merged = json_find(body, hs_literal("/pull_request/merged"), &merged) && hs_equal(merged, hs_literal("true"));
  return read_string(body, hs_literal("/action"), &pull->action, failure) &&
         read_string(body, hs_literal("/sender/login"), &pull->login, failure) &&
         read_integer(body, hs_literal("/pull_request/id"), &pull->id, failure) &&
         read_integer(body, hs_literal("/pull_request/number"), &pull->number, failure) &&
         read_string(body, hs_literal("/pull_request/title"), &pull->title, failure) &&
         read_string(body, hs_literal("/pull_request/html_url"), &pull->url, failure) &&
         read_string(body, hs_literal("/repository/full_name"), &pull->repository, failure) &&
         read_integer(body, hs_literal("/repository/id"), &pull->repository_id, failure);
}

// Nothing in a payload can mention anybody in Slack, or look like another link.
static hs_text escape(hs_text text) {
  buffer to = {0};
  for (size_t i = 0; i < text.length; i++) {
    char c = text.data[i];
    if (c == '&') put_literal(&to, "&amp;");
    else if (c == '<') put_literal(&to, "&lt;");
    else if (c == '>') put_literal(&to, "&gt;");
    else put(&to, (hs_text){&c, 1});
  }
  return text_of(&to);
}

static hs_text verb(const pull_request *pull) {
  if (pull->merged && hs_equal(pull->action, hs_literal("closed"))) return hs_literal("merged");
  buffer verb = {0};
  put(&verb, pull->action);
  for (size_t i = 0; i < verb.length; i++)
    if (verb.data[i] == '_') verb.data[i] = ' ';
  return escape(text_of(&verb));
}

// Who did what to which one; with the URL, as a link.
static hs_text headline(const pull_request *pull, const hs_text *url) {
  buffer line = {0};
  put(&line, escape(pull->login));
  put_literal(&line, " ");
  put(&line, verb(pull));
  put_literal(&line, " ");
  if (url) {
    put_literal(&line, "<");
    put(&line, escape(*url));
    put_literal(&line, "|");
  }
  put_literal(&line, "#");
  put(&line, pull->number);
  put_literal(&line, " ");
  put(&line, escape(pull->title));
  if (url) put_literal(&line, ">");
  return text_of(&line);
}

static hs_text slack_message(const pull_request *pull) {
  buffer to = {0};
  put_literal(&to, "{\"text\":");
  put_string(&to, headline(pull, NULL));
  put_literal(&to, ",\"blocks\":[{\"type\":\"section\",\"text\":{\"type\":\"mrkdwn\",\"verbatim\":true,\"text\":");
  put_string(&to, headline(pull, &pull->url));
  put_literal(&to, "}},{\"type\":\"context\",\"elements\":[{\"type\":\"mrkdwn\",\"verbatim\":true,\"text\":");
  put_string(&to, escape(pull->repository));
  put_literal(&to, "}]}],\"metadata\":{\"event_type\":\"github_pull_request\",\"event_payload\":{\"id\":");
  put(&to, pull->id);
  put_literal(&to, ",\"number\":");
  put(&to, pull->number);
  put_literal(&to, ",\"repository_id\":");
  put(&to, pull->repository_id);
  put_literal(&to, "}}");
  if (channel.is_some) {
    put_literal(&to, ",\"channel\":");
    put_string(&to, channel.value);
  }
  put_literal(&to, "}");
  return text_of(&to);
}

static bool apply(const hs_event *event, const hs_message *message, hs_outputs *outputs, hs_failure *failure) {
  (void)event;
  if (!hs_equal(message->event_type, hs_literal("pull_request"))) return true;
  json body;
  pull_request pull;
  if (!json_parse(message->body, &body)) return input_invalid(failure, hs_literal("the body is not JSON"), hs_literal(""));
  if (!read(body, &pull, failure)) return false;
  static hs_output output;
  output.content_type = (hs_option_text){true, hs_literal("application/json")};
  output.body = (hs_option_text){true, slack_message(&pull)};
  *outputs = (hs_outputs){&output, 1};
  return true;
}

static bool configure(hs_text text, hs_failure *failure) {
  json object, value;
  hs_text name;
  const char *at = NULL;
  bool good = json_parse(text, &object) && object.data[0] == '{';
  while (good && json_member(object, &at, &name, &value)) {
    channel.is_some = true;
    good = hs_equal(name, hs_literal("channel")) && json_string(value, &channel.value);
  }
  if (!good) *failure = (hs_failure){hs_literal("settings-invalid"), hs_literal("settings are {\"channel\": \"#pulls\"}")};
  return good;
}
