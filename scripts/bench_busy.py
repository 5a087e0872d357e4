#!/usr/bin/env python3
"""What our commands lose beside one more busy process (a loop at nice 10), as a Markdown table.

    scripts/bench_busy.py BINARIES MODEL CORPUS [REPEATS] [COMMAND...]

Each command runs alone and beside the loop in turns; medians. `taken` is the share of the machine that the
loop had meanwhile, `lost` the share of the command's own speed that went: the two should be near each other.
On a machine that others use, too, both columns of speed are theirs as well as ours.
"""
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")


class Loop:
    """A busy process, with the share of the machine that it had."""

    def __enter__(self):
        # In this session: Linux shares the processor among sessions first (autogroups), and by nice only within one.
        self.child = subprocess.Popen(["nice", "-n", "10", "sh", "-c", "while :; do :; done"])
        self.begin = time.monotonic()
        return self

    def __exit__(self, *fault):
        with open(f"/proc/{self.child.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / TICK
        self.share = seconds / (time.monotonic() - self.begin) / len(os.sched_getaffinity(0))
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


def run(arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


class Commands:
    """Each does some work and gives its speed."""

    def __init__(self, binaries, model, corpus, folder):
        self.program, self.bench_grid = f"{binaries}/safesail", f"{binaries}/bench_grid"
        self.model, self.corpus, self.folder = model, corpus, folder
        self.n_runs = 0

    def grid(self, mode):
        line = json.loads(run([self.bench_grid, self.model, self.corpus, "16000", mode]))
        return line["budget"] / line["wall_seconds"]

    def train(self):
        return self.grid("overlap")

    def train_take_turns(self):
        return self.grid("turns")

    def serve(self):
        """Two visitors' answers at once."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = subprocess.Popen([self.program, "-q", "serve", "--openai", "--model", self.model, "--port", str(port)],
                                  stderr=subprocess.DEVNULL)
        made = []

        def ask(n_tokens):
            body = {"messages": [{"role": "user", "content": "Tell me a long story."}], "temperature": 0,
                    "max_tokens": n_tokens}
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(),
                                             {"Content-Type": "application/json"})
            with urllib.request.urlopen(request) as answer:
                made.append(json.load(answer)["usage"]["completion_tokens"])

        try:
            for _ in range(600):
                try:
                    ask(1)
                    break
                except OSError:
                    time.sleep(0.1)
            made.clear()
            began = time.monotonic()
            visitors = [threading.Thread(target=ask, args=(200,)) for _ in range(2)]
            for visitor in visitors:
                visitor.start()
            for visitor in visitors:
                visitor.join()
            return sum(made) / (time.monotonic() - began)
        finally:
            server.terminate()
            server.wait()

    def explain(self):
        """The lexical explanations of a run's features, and their scores."""
        if not hasattr(self, "run"):
            self.run = f"{self.folder}/run"
            on_run = ["--model", self.model, "--run", self.run]
            run([self.program, "train", "--model", self.model, "--corpus", self.corpus, "--sites", "mlp_out.15", "-k",
                 "32", "--tokens", "30000", "--out", self.run])
            run([self.program, "select", *on_run])
            run([self.program, "exemplars", *on_run, "--corpus", self.corpus, "--tokens", "60000"])
        self.n_runs += 1
        copy = f"{self.folder}/copy{self.n_runs}"
        shutil.copytree(self.run, copy)
        began = time.monotonic()
        run([self.program, "explain", "--run", copy])
        run([self.program, "score", "--run", copy])
        return 1 / (time.monotonic() - began)


UNITS = {"train": "tokens/s", "train_take_turns": "tokens/s", "serve": "tokens/s", "explain": "runs/s"}


def main():
    binaries, model, corpus, *rest = sys.argv[1:]
    repeats = int(rest[0]) if rest else 3
    names = rest[1:] or list(UNITS)
    print("| command | alone | beside a busy loop | lost | taken by the loop |\n| --- | --: | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as folder:
        commands = Commands(binaries, model, corpus, folder)
        for name in names:
            if name == "explain":
                commands.explain()  # makes what it explains, the first time
            alone, beside, taken = [], [], []
            for _ in range(repeats):
                alone.append(getattr(commands, name)())
                with Loop() as loop:
                    beside.append(getattr(commands, name)())
                taken.append(loop.share)
            a, b = statistics.median(alone), statistics.median(beside)
            print(f"| {name.replace('_', ' --', 1).replace('_', '-')}, {UNITS[name]} | {a:,.3g} | {b:,.3g} "
                  f"| {1 - b / a:.0%} | {statistics.median(taken):.0%} |", flush=True)


if __name__ == "__main__":
    main()
