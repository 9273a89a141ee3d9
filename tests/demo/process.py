"""The processes the demo starts: each is waited for within a bound, and each is stopped by its id."""

import collections
import queue
import signal
import subprocess
import sys
import threading
import time

STOP_TIMEOUT_S = 15  # from SIGTERM to SIGKILL
LINES_KEPT_MAX = 30  # of what a process said last, to show when it fails


class Failed(Exception):
    """The demo cannot go on. The text says what went wrong, where, and what to do."""


class Process:
    """A child whose standard output is read line by line while it runs. Its standard error goes to `log`, a file."""

    def __init__(self, name, command, env, log, on_line=None):
        self.name, self.log, self.on_line = name, log, on_line
        self.lines = queue.Queue()
        try:
            with open(log, "wb") as stderr:
                # In a session of its own, Ctrl-C reaches the driver alone, which then stops its children in order.
                self.child = subprocess.Popen(
                    command,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                )
        except FileNotFoundError as error:
            raise Failed(f"{name} cannot start: {error.filename} is not there. Run `make setup build` first") from error
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            (self.on_line or self.lines.put)(line.rstrip("\n"))
        self.lines.put(None)

    def first_line(self, timeout_s, bound):
        """The first line it says, within `timeout_s`; `bound` is the name of that limit."""
        try:
            line = self.lines.get(timeout=timeout_s)
        except queue.Empty:
            raise Failed(f"{self.name} said nothing within {bound}, {timeout_s} s{self.last_words()}") from None
        if line is None:
            raise Failed(f"{self.name} ended before it was ready, with status {self.child.wait()}{self.last_words()}")
        return line

    def all_lines(self, timeout_s, bound):
        """Everything it says until it ends by itself with status 0, within `timeout_s`."""
        deadline, lines = time.monotonic() + timeout_s, []
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise Failed(f"{self.name} did not end within {bound}, {timeout_s} s{self.last_words()}") from None
            if line is None:
                break
            lines.append(line)
        if status := self.child.wait():
            raise Failed(f"{self.name} ended with status {status}{self.last_words()}")
        return lines

    def running(self):
        return self.child.poll() is None

    def last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            lines = collections.deque(log, maxlen=LINES_KEPT_MAX)
        return ". Its last words:\n" + "".join(f"    {line}" for line in lines) if lines else ""

    def stop(self):
        """Asks it to end, and ends it if it does not. Answers its exit status, as `subprocess` counts it."""
        if self.running():
            self.child.send_signal(signal.SIGTERM)
        try:
            status = self.child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            print(f"{self.name} did not end within STOP_TIMEOUT_S, {STOP_TIMEOUT_S} s; it is killed", file=sys.stderr)
            self.child.kill()
            status = self.child.wait()
        self.reader.join(STOP_TIMEOUT_S)
        return status
