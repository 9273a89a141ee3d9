// What a module needs that QuickJS does not have: UTF-8, JSON whose integers stay exact, failures, and a trace of what was thrown.
import * as log from "hookswitch:module/log@0.1.0";

/** Why the module could not do its work: the event's trace shows it, and the route says what becomes of the run. */
export class Failure extends Error {
  constructor(readonly code: string, message: string) {
    super(message);
  }
}

/** An export: what it throws reaches the host. A failure, one of state's too, is an answer; anything else is a trap, and its words are logged. */
export function exported<A extends unknown[], R>(work: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    try {
      return work(...args);
    } catch (error) {
      const failure = failureOf(error);
      if (failure) throw failure;
      log.write("error", `uncaught ${error}\n${error instanceof Error ? error.stack : ""}`);
      throw error;
    }
  };
}

/** The code and the message of what was thrown, if it is a failure: the module's own, or one that the host answered. */
export function failureOf(error: unknown): { code: string; message: string } | undefined {
  const failure = error instanceof Failure ? error : (error as { payload?: Failure } | undefined)?.payload;
  return typeof failure?.code === "string" ? { code: failure.code, message: failure.message } : undefined;
}

const CHUNK_BYTES = 8192;

/** UTF-8 as a string; throws a URIError if it is none. */
export function decode(bytes: Uint8Array): string {
  return look(bytes).isAscii ? latin1(bytes) : decodeURIComponent(escape(latin1(bytes)));
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + CHUNK_BYTES) as unknown as number[]);
  }
  return text;
}

// Four bytes at a time, because QuickJS interprets: whether all are ASCII, and whether there may be 16 digits in a row.
function look(bytes: Uint8Array) {
  const words = new Uint32Array(bytes.slice(0, bytes.length & ~3).buffer);
  let all = 0;
  let digits = 0;
  let digitsMost = 0;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    all |= word;
    if ((word & 0xf0f0f0f0) !== 0x30303030) digits = 0;
    else if (++digits > digitsMost) digitsMost = digits;
  }
  for (const byte of bytes.subarray(bytes.length & ~3)) all |= byte;
  return { isAscii: (all & 0x80808080) === 0, mayHaveLarge: digitsMost >= 3 };
}

/** A string as UTF-8. */
export function encode(text: string): Uint8Array {
  const plain = text.replace(/[^\x00-\x7f]+/g, (run) => unescape(encodeURIComponent(run)));
  const bytes = new Uint8Array(plain.length);
  for (let at = 0; at < plain.length; at++) bytes[at] = plain.charCodeAt(at);
  return bytes;
}

// A string with what follows a key, or an integer of 16 digits and more, which a number may not hold.
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|-?\d{16,}(?![\d.eE])/g;

/** A JSON body, in UTF-8, whose large integers are BigInts; throws if it is none. */
export function parseBody(bytes: Uint8Array): unknown {
  const { isAscii, mayHaveLarge } = look(bytes);
  const text = isAscii ? latin1(bytes) : decodeURIComponent(escape(latin1(bytes)));
  return mayHaveLarge ? parseJson(text) : JSON.parse(text);
}

/** The same for a text. */
export function parseJson(text: string): unknown {
  const plain: unknown = JSON.parse(text);
  if (!/\d{16}/.test(text)) return plain;
  // Large integers become strings that begin with NUL, and strings that begin so get a second one.
  const mark = (token: string, colon?: string) => {
    if (token[0] !== '"') return `"\\u0000${token}"`;
    return colon === undefined && token.startsWith('"\\u0000') ? `"\\u0000${token.slice(1)}` : token;
  };
  const unmark = (_: string, value: unknown) => {
    if (typeof value !== "string" || value[0] !== "\0") return value;
    return value[1] === "\0" ? value.slice(1) : BigInt(value.slice(1));
  };
  return JSON.parse(text.replace(TOKENS, mark), unmark);
}

// QuickJS has it; TypeScript does not know it yet.
declare global {
  interface JSON {
    rawJSON(text: string): object;
  }
}

/** The JSON of a value, BigInts included. */
export function writeJson(value: unknown): string {
  return JSON.stringify(value, (_, value) => (typeof value === "bigint" ? JSON.rawJSON(String(value)) : value));
}
