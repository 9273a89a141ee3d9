// Uses all that state can do, and says what it found.
import * as state from "hookswitch:module/state@0.1.0";
import { decode, encode, exported, failureOf } from "./hookswitch.js";

export const configure = exported(() => {});

export const accept = exported(() => {
  state.increment("number", 5_000_000_000, 60);
  const same = state.increment("number", -1, 60) === 4_999_999_999 ? "same" : "other";
  const number = decode(state.get("number"));
  state.set("key", encode("v"), 0);
  const kept = decode(state.get("key"));
  state.remove("key");
  const gone = state.get("key") === null ? "gone" : "kept";
  state.set("odd", encode("x"), 0);
  return { tag: "reject", val: `${number} ${same} ${kept} ${gone} ${refused()}` };
});

function refused() {
  try {
    state.increment("odd", 1, 0);
  } catch (error) {
    return failureOf(error).code;
  }
}
