// What Hookswitch and a module say to each other: the WIT contract in wit/, as C.
//
// The structs lie in memory exactly as the component model's canonical ABI has them, so nothing is copied or converted on
// the way, and no code is generated. A module is two functions and one line:
//
//     HS_FILTER(configure, accept)    or    HS_TRANSFORM(configure, apply)
//
// A function returns true and sets its answer, or returns false and sets the failure. The host makes a fresh instance for
// every call: nothing has to be freed, and a static variable is new each time.
#ifndef HOOKSWITCH_H
#define HOOKSWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// UTF-8 text, or bytes. There is no zero at its end.
typedef struct {
  const char *data;
  size_t length;
} hs_text;

// A text of the program itself: hs_literal("accept").
#define hs_literal(literal) ((hs_text){(literal), sizeof(literal) - 1})

static inline bool hs_equal(hs_text a, hs_text b) {
  return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

typedef struct {
  hs_text name, value;
} hs_header;

typedef struct {
  hs_header *items;
  size_t count;
} hs_headers;

typedef struct {
  bool is_some;
  hs_text value;
} hs_option_text;

// The event as it was received, the same at every step of a route.
typedef struct {
  hs_text id, tenant, source, event_type;
  uint64_t received_at_ms;
  hs_headers headers;
} hs_event;

// The message as the step before left it.
typedef struct {
  hs_text event_type, content_type;
  hs_headers headers;
  hs_text body;
  hs_option_text ordering_key;
  uint64_t delay_ms;
} hs_message;

// A message that the module makes: what is left out (all zero) stays as it was.
typedef struct {
  hs_option_text event_type, content_type;
  struct {
    bool is_some;
    hs_headers value;
  } headers;
  hs_option_text body, ordering_key;
  struct {
    bool is_some;
    uint64_t value;
  } delay_ms;
} hs_output;

typedef struct {
  hs_output *items;
  size_t count;
} hs_outputs;

// A filter's verdict: HS_ACCEPT, or HS_REJECT with the reason.
typedef struct {
  enum : uint8_t { HS_ACCEPT, HS_REJECT } verdict;
  hs_text reason;
} hs_decision;

// Why the module could not do its work: a code such as input-invalid or settings-invalid, and words for a person.
typedef struct {
  hs_text code, message;
} hs_failure;

// The imports. A module imports only what it calls; none of these but hs_log may be called while it is configured.
#define HS_IMPORT(interface, function) \
  __attribute__((import_module("hookswitch:module/" interface "@0.1.0"), import_name(function)))

enum hs_level { HS_DEBUG, HS_INFO, HS_WARN, HS_ERROR };
HS_IMPORT("log", "write") void hs_log_write(enum hs_level level, const char *data, size_t length);
HS_IMPORT("context", "event-body") void hs_context_event_body(hs_text *body);
HS_IMPORT("context", "origin") void hs_context_origin(hs_text *origin);

// A line for the event's trace.
static inline void hs_log(enum hs_level level, hs_text line) { hs_log_write(level, line.data, line.length); }

// A small store that outlives the call, for a step that says `state = true`: wit/types.wit has its rules. Each returns false
// with the failure. Time to live is in seconds; 0 keeps for good.
struct hs_state_found {
  bool failed;
  union {
    hs_option_text value;
    hs_failure failure;
  };
};
struct hs_state_done {
  bool failed;
  hs_failure failure;
};
struct hs_state_sum {
  bool failed;
  union {
    int64_t sum;
    hs_failure failure;
  };
};
HS_IMPORT("state", "get") void hs_state_get_raw(const char *key, size_t length, struct hs_state_found *answer);
HS_IMPORT("state", "set")
void hs_state_set_raw(const char *key, size_t length, const char *value, size_t value_length, uint32_t ttl_s, struct hs_state_done *answer);
HS_IMPORT("state", "remove") void hs_state_remove_raw(const char *key, size_t length, struct hs_state_done *answer);
HS_IMPORT("state", "increment")
void hs_state_increment_raw(const char *key, size_t length, int64_t by, uint32_t ttl_s, struct hs_state_sum *answer);

// The value under a key; `is_some` says whether there is one.
static inline bool hs_state_get(hs_text key, hs_option_text *value, hs_failure *failure) {
  struct hs_state_found answer;
  hs_state_get_raw(key.data, key.length, &answer);
  if (answer.failed) *failure = answer.failure;
  else *value = answer.value;
  return !answer.failed;
}

static inline bool hs_state_set(hs_text key, hs_text value, uint32_t ttl_s, hs_failure *failure) {
  struct hs_state_done answer;
  hs_state_set_raw(key.data, key.length, value.data, value.length, ttl_s, &answer);
  if (answer.failed) *failure = answer.failure;
  return !answer.failed;
}

static inline bool hs_state_remove(hs_text key, hs_failure *failure) {
  struct hs_state_done answer;
  hs_state_remove_raw(key.data, key.length, &answer);
  if (answer.failed) *failure = answer.failure;
  return !answer.failed;
}

// Adds to the number under a key, 0 where there is none, and answers the sum.
static inline bool hs_state_increment(hs_text key, int64_t by, uint32_t ttl_s, int64_t *sum, hs_failure *failure) {
  struct hs_state_sum answer;
  hs_state_increment_raw(key.data, key.length, by, ttl_s, &answer);
  if (answer.failed) *failure = answer.failure;
  else *sum = answer.sum;
  return !answer.failed;
}

// How the arguments and the answers of the exports lie in memory.
typedef struct {
  hs_event event;
  hs_message message;
} hs_call;
struct hs_configured {
  bool failed;
  hs_failure failure;
};
struct hs_decided {
  bool failed;
  union {
    hs_decision decision;
    hs_failure failure;
  };
};
struct hs_made {
  bool failed;
  union {
    hs_outputs outputs;
    hs_failure failure;
  };
};
_Static_assert(sizeof(hs_event) == 48 && sizeof(hs_message) == 56 && sizeof(hs_output) == 80, "the canonical ABI");
_Static_assert(sizeof(struct hs_decided) == 20 && sizeof(struct hs_made) == 20, "the canonical ABI");
_Static_assert(sizeof(struct hs_state_found) == 20 && sizeof(struct hs_state_sum) == 24, "the canonical ABI");

#define HS_EXPORT(name) __attribute__((export_name(name)))

// What every module has: the types of its world, memory for what the host hands over, and its settings.
#define HS_MODULE(configure_function) \
  __asm__(".section \".custom_section.component-type:hookswitch\",\"\",@\n.incbin \"component-type.bin\"\n.text\n"); \
  HS_EXPORT("cabi_realloc") void *hs_realloc(void *old, size_t old_length, size_t align, size_t length) { \
    (void)old_length, (void)align; \
    void *memory = realloc(old, length ? length : 1); \
    if (!memory) __builtin_trap(); \
    return memory; \
  } \
  HS_EXPORT("configure") const struct hs_configured *hs_configure(const char *data, size_t length) { \
    static struct hs_configured answer; \
    answer.failed = !configure_function((hs_text){data, length}, &answer.failure); \
    return &answer; \
  }

// bool configure(hs_text settings, hs_failure *failure)
// bool accept(const hs_event *event, const hs_message *message, hs_decision *decision, hs_failure *failure)
#define HS_FILTER(configure_function, accept_function) \
  HS_MODULE(configure_function) \
  HS_EXPORT("accept") const struct hs_decided *hs_accept(const hs_call *call) { \
    static struct hs_decided answer; \
    hs_decision decision = {HS_ACCEPT, {0}}; \
    hs_failure failure = {{0}, {0}}; \
    answer.failed = !accept_function(&call->event, &call->message, &decision, &failure); \
    if (answer.failed) answer.failure = failure; \
    else answer.decision = decision; \
    return &answer; \
  }

// bool configure(hs_text settings, hs_failure *failure)
// bool apply(const hs_event *event, const hs_message *message, hs_outputs *outputs, hs_failure *failure)
#define HS_TRANSFORM(configure_function, apply_function) \
  HS_MODULE(configure_function) \
  HS_EXPORT("apply") const struct hs_made *hs_apply(const hs_call *call) { \
    static struct hs_made answer; \
    hs_outputs outputs = {NULL, 0}; \
    hs_failure failure = {{0}, {0}}; \
    answer.failed = !apply_function(&call->event, &call->message, &outputs, &failure); \
    if (answer.failed) answer.failure = failure; \
    else answer.outputs = outputs; \
    return &answer; \
  }

#endif
