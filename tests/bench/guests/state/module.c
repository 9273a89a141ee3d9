// Uses all that state can do, and says what it found.
#include "hookswitch.h"
#include "json.h"

static bool configure(hs_text settings, hs_failure *failure);
static bool accept(const hs_event *event, const hs_message *message, hs_decision *decision, hs_failure *failure);
HS_FILTER(configure, accept)

static bool accept(const hs_event *event, const hs_message *message, hs_decision *decision, hs_failure *failure) {
  (void)event, (void)message;
  hs_text number = hs_literal("number"), key = hs_literal("key"), odd = hs_literal("odd");
  int64_t first, second;
  hs_option_text sum, kept, gone;
  hs_failure failed;
  if (!hs_state_increment(number, 5000000000, 60, &first, failure) || !hs_state_increment(number, -1, 60, &second, failure) ||
      !hs_state_get(number, &sum, failure) || !hs_state_set(key, hs_literal("v"), 0, failure) ||
      !hs_state_get(key, &kept, failure) || !hs_state_remove(key, failure) || !hs_state_get(key, &gone, failure) ||
      !hs_state_set(odd, hs_literal("x"), 0, failure))
    return false;
  bool refused = !hs_state_increment(odd, 1, 0, &first, &failed);
  buffer said = {0};
  put(&said, sum.value);
  put(&said, second == 4999999999 ? hs_literal(" same ") : hs_literal(" other "));
  put(&said, kept.value);
  put(&said, gone.is_some ? hs_literal(" kept ") : hs_literal(" gone "));
  if (refused) put(&said, failed.code);
  *decision = (hs_decision){HS_REJECT, text_of(&said)};
  return true;
}

static bool configure(hs_text settings, hs_failure *failure) {
  (void)settings, (void)failure;
  return true;
}
