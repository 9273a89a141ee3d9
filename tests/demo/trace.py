"""Draws the trace of one event: its runs, what each module said, and where the deliveries went."""

import datetime
import sys

DIGEST_CHARS = 8
TEXT_CHARS_MAX = 100

COLOURS = {"good": "\033[32m", "bad": "\033[31m", "wait": "\033[33m", "dim": "\033[2m", "bold": "\033[1m"}
MOODS = {
    "accepted": "good",
    "produced": "good",
    "dispatched": "good",
    "routed": "good",
    "delivered": "good",
    "rejected": "wait",
    "filtered": "wait",
    "pending": "wait",
    "failed": "bad",
    "held": "bad",
    "dropped": "bad",
    "dead": "bad",
}


def paint(text, mood):
    """Colours `text`, on a terminal only."""
    return f"{COLOURS[mood]}{text}\033[0m" if mood and sys.stdout.isatty() else str(text)


def plain(text):
    """Text from a module or a receiver on one line: no control character of theirs reaches the terminal."""
    text = "".join(c if c.isprintable() else "·" for c in str(text))
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"


def draw(event, deliveries):
    """The lines of an event's trace. `deliveries` are those of its runs, with their attempts, by id."""
    at = datetime.datetime.fromtimestamp(event["received_at_ms"] / 1000)
    yield (
        f"{paint(event['id'], 'bold')}  {event['event_type']} for {event['tenant']}/{event['source']}, "
        f"{event['body_bytes']:,} bytes at {at:%H:%M:%S}.{at.microsecond // 1000:03}"
    )
    yield from branches([run_tree(run, deliveries) for run in event["runs"]])


def run_tree(run, deliveries):
    title = f"{paint(run['route'], 'bold')}  {paint(run['status'], MOODS[run['status']])}"
    if failure := run.get("failure"):
        title += paint(f"  at step {failure['step']}: {failure['code']}, {plain(failure['message'])}", "bad")
    steps = [step_tree(step) for step in run["trace"]]
    return title, steps + [delivery_tree(deliveries[id]) for id in run["deliveries"]]


def step_tree(step):
    verdict = step["verdict"]
    what = verdict["verdict"]
    said = {
        "rejected": lambda: f": {plain(verdict['reason'])}",
        "failed": lambda: f": {verdict['code']}, {plain(verdict['message'])}",
        "produced": lambda: f" {count(verdict['messages'], 'message')}",
        "dispatched": lambda: f" {count(verdict['messages'], 'message')}",
    }.get(what, str)()
    digest = step["digest"].removeprefix("sha256:")[:DIGEST_CHARS]
    title = (
        f"{step['module']:<24} {paint(digest, 'dim')}  {step['duration_us']:>6,} µs  {paint(what, MOODS[what])}{said}"
    )
    logs = [(paint(f"{log['level']}: {plain(log['line'])}", "dim"), []) for log in step.get("logs", [])]
    return title, logs


def delivery_tree(delivery):
    size = "the event's body" if delivery["body"] == "event" else "a body of its own"
    title = (
        f"→ {paint(delivery['endpoint'], 'bold')}  {paint(delivery['status'], MOODS[delivery['status']])}  "
        f"{plain(delivery['event_type'])}, {size}  {paint(delivery['id'], 'dim')}"
    )
    return title, [(attempt_line(attempt), []) for attempt in delivery["attempts"]]


def attempt_line(attempt):
    ok = not attempt.get("error")
    status = paint(attempt.get("status") or attempt["error"]["code"], "good" if ok else "bad")
    said = attempt.get("response") or (attempt.get("error") or {}).get("message", "")
    return f"attempt {attempt['number']}  {status}  {attempt['duration_ms']:>3} ms  {plain(said)}"


def count(number, noun):
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def branches(trees):
    """Lines of trees `(title, trees below)`, with the lines between them drawn."""
    for place, (title, below) in enumerate(trees):
        last = place == len(trees) - 1
        yield ("└─ " if last else "├─ ") + title
        for line in branches(below):
            yield ("   " if last else "│  ") + line
