// {{name}}: a filter. It accepts messages of some types, and with some value in their body:
//
//     {"events": ["push"], "pointer": "/ref", "equals": "refs/heads/main"}
#include "hookswitch.h"
#include "json.h"

static bool configure(hs_text text, hs_failure *failure);
static bool accept(const hs_event *event, const hs_message *message, hs_decision *decision, hs_failure *failure);
HS_FILTER(configure, accept)

// The settings; `has_…` says whether there is such a one.
static struct {
  bool has_events, has_pointer, has_equals;
  json events, equals;
  hs_text pointer;
} settings;

static bool reject(hs_decision *decision, hs_text first, hs_text second) {
  buffer reason = {0};
  put(&reason, first);
  put(&reason, second);
  *decision = (hs_decision){HS_REJECT, text_of(&reason)};
  return true;
}

// Strings are equal if they say the same; all else if it is written the same.
static bool equal(json a, json b) {
  hs_text left, right;
  if (json_string(a, &left) && json_string(b, &right)) return hs_equal(left, right);
  return hs_equal(a, b);
}

static bool is_wanted(hs_text event_type) {
  const char *at = NULL;
  json item;
  hs_text wanted;
  while (json_item(settings.events, &at, &item))
    if (json_string(item, &wanted) && hs_equal(wanted, event_type)) return true;
  return false;
}

static bool accept(const hs_event *event, const hs_message *message, hs_decision *decision, hs_failure *failure) {
  (void)event;
  if (settings.has_events && !is_wanted(message->event_type))
    return reject(decision, hs_literal("the event type is "), message->event_type);
  if (!settings.has_pointer) return true;
  json body, value;
  if (!json_parse(message->body, &body)) {
    *failure = (hs_failure){hs_literal("input-invalid"), hs_literal("the body is not JSON")};
    return false;
  }
  if (!json_find(body, settings.pointer, &value)) return reject(decision, settings.pointer, hs_literal(" is not there"));
  if (!equal(value, settings.equals)) return reject(decision, settings.pointer, hs_literal(" is something else"));
  return true;
}

static bool is_list_of_strings(json value) {
  const char *at = NULL;
  json item;
  hs_text text;
  while (json_item(value, &at, &item))
    if (!json_string(item, &text)) return false;
  return value.data[0] == '[';
}

static bool is_simple(json value) {
  char first = value.data[0];
  return first == '"' || first == 't' || first == 'f' || first == 'n' || json_is_integer(value);
}

static bool read_setting(hs_text name, json value) {
  if (hs_equal(name, hs_literal("events"))) {
    settings.has_events = true;
    settings.events = value;
    return is_list_of_strings(value);
  }
  if (hs_equal(name, hs_literal("pointer"))) {
    settings.has_pointer = true;
    return json_string(value, &settings.pointer) && (settings.pointer.length == 0 || settings.pointer.data[0] == '/');
  }
  settings.has_equals = true;
  settings.equals = value;
  return hs_equal(name, hs_literal("equals")) && is_simple(value);
}

static bool configure(hs_text text, hs_failure *failure) {
  json object, value;
  hs_text name;
  const char *at = NULL;
  bool good = json_parse(text, &object) && object.data[0] == '{';
  while (good && json_member(object, &at, &name, &value)) good = read_setting(name, value);
  if (good && settings.has_pointer == settings.has_equals) return true;
  *failure = (hs_failure){
    hs_literal("settings-invalid"),
    hs_literal("settings are {\"events\": [\"push\"], \"pointer\": \"/a/b\", \"equals\": \"c\"}; pointer and equals go together"),
  };
  return false;
}
