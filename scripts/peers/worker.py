"""Both ends of the conversation between compare.py and the programs it times.

A program under test reads a case a line from stdin ("prefill 8 128 all"), runs it once, and answers
with the seconds it took.
"""
import contextlib
import os
import subprocess
import sys
import time


def serve(run):
    """Answers every line of stdin with run(*words), which gives seconds. For a peer's side."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr
    for line in sys.stdin:
        print(f"{run(*line.split()):.6f}", file=answers, flush=True)


def seconds_of(body):
    start = time.perf_counter()
    body()
    return time.perf_counter() - start


class Ended(Exception):
    """A program that should have answered is gone."""

    def __init__(self, program, text):
        super().__init__(text)
        self.program = program


class Program:
    """A running program under test. What it says on stderr goes to `log`."""

    def __init__(self, command, log, environment):
        self.log = log
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=log.open("a"), env={**os.environ, **environment},
        )

    def run(self, case):
        try:
            self.process.stdin.write(case + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise Ended(self, f"{self.process.args[0]} ended during '{case}'; see {self.log}")
        return float(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(timeout=60)
