// The WIT contract in wit/, as TypeScript. What is optional may be left out of an output: it then stays as it was.

declare module "hookswitch:module/types@0.1.0" {
  export interface Header {
    name: string;
    value: string;
  }
  /** The event as it was received, the same at every step of a route. */
  export interface Event {
    id: string;
    tenant: string;
    source: string;
    eventType: string;
    receivedAtMs: number;
    headers: Header[];
  }
  /** The message as the step before left it. */
  export interface Message {
    eventType: string;
    contentType: string;
    headers: Header[];
    body: Uint8Array;
    orderingKey: string | null;
    delayMs: number;
  }
  /** A message that a transform makes. */
  export interface Output {
    eventType?: string;
    contentType?: string;
    headers?: Header[];
    body?: Uint8Array;
    /** An empty key takes the message's away. */
    orderingKey?: string;
    delayMs?: number;
  }
  /** A filter's verdict. */
  export type Decision = { tag: "accept" } | { tag: "reject"; val: string };
}

declare module "hookswitch:module/context@0.1.0" {
  /** The event's body as received, whatever the steps before made of the message. */
  export function eventBody(): Uint8Array;
  /** Why the module runs: live, rerun, replay, test. More may come. */
  export function origin(): string;
}

declare module "hookswitch:module/log@0.1.0" {
  export type Level = "debug" | "info" | "warn" | "error";
  /** A line for the event's trace. */
  export function write(level: Level, line: string): void;
}

/** A small store that outlives the call, for a step that says `state = true`: wit/types.wit has its rules. A failure is thrown. */
declare module "hookswitch:module/state@0.1.0" {
  export function get(key: string): Uint8Array | null;
  /** Keeps the value for so many seconds; 0 keeps it for good. */
  export function set(key: string, value: Uint8Array, ttlS: number): void;
  export function remove(key: string): void;
  /** Adds to the number under a key, 0 where there is none, and answers the sum. */
  export function increment(key: string, by: number, ttlS: number): number;
}
