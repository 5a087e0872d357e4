#!/usr/bin/env python3
"""Features explained and windows judged an hour by language models of this machine, as a Markdown table.

    scripts/bench_explainer.py [--peer LLAMA_SERVER] [--run runs/demo] [--rounds 3] PROGRAM MODEL.gguf...

The servers are driven as people drive them: by `safesail explain` and `safesail score --ask verdicts` on copies of the
run's atlas, with eight requests under way. With --peer llama.cpp's server has its turns between ours, with the same file,
threads, prompts and schemas, a slot for each request and its prompt cache.

Each turn is about features that nobody was asked about before: no answer comes from the ledger, and what prompts have
in common is known, as in the midst of a long run. The first turn is not counted. A rate counts the answers that could
be read; how many those were stands behind it. Rates are medians (slowest-fastest), the ratio is the median of the
rounds' own.
"""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

WINDOWS = {"token": 10, "segment": 10, "detection": 40}  # a side, of one feature a turn
CONCURRENCY = 8  # the program's own
THREADS = len(os.sched_getaffinity(0))
SLOT_TOKENS = 8192  # of the peer's context: more than any prompt here with its answer
NAME = "bench"  # of the model; no earlier answer in the atlas is by that one

Turn = collections.namedtuple("Turn", "seconds asked read")


def rate(turn):
    return 3600 * turn.read / turn.seconds


# ---- Servers -------------------------------------------------------------------------------------


def ours(program, model):
    return [program, "-q", "serve", "--openai", "--model", model, "--name", NAME, "--max-chats", str(CONCURRENCY)]


def llama(server, model):
    return [server, "--model", model, "--alias", NAME, "--threads", str(THREADS), "--parallel", str(CONCURRENCY),
            "--ctx-size", str(CONCURRENCY * SLOT_TOKENS), "--cont-batching", "--cache-prompt", "--cache-reuse", "256",
            "--no-ui"]


def ask_once(endpoint):
    body = {"model": NAME, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
    request = urllib.request.Request(f"{endpoint}/chat/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    urllib.request.urlopen(request).close()


@contextlib.contextmanager
def serving(command, log):
    """The endpoint of a server that has loaded its model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}/v1"
    server = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=log)
    try:
        while True:
            if server.poll() is not None:
                sys.exit(f"{command[0]} ended before it answered; see {log.name}")
            try:
                ask_once(endpoint)
                break
            except OSError:  # not there yet, or still loading (503)
                time.sleep(0.2)
        yield endpoint
    finally:
        server.terminate()
        server.wait()


# ---- Work ----------------------------------------------------------------------------------------


class Side:
    """An endpoint, and an atlas for what it answers."""

    def __init__(self, program, endpoint, run, folder):
        self.program, self.said = program, set()
        self.asked_of = ["--endpoint", endpoint, "--llm", NAME, "--concurrency", str(CONCURRENCY), "--timeout", "3600"]
        self.atlas = f"{folder}/{len(os.listdir(folder))}.sqlite"
        with contextlib.closing(open_atlas(run)) as source, contextlib.closing(sqlite3.connect(self.atlas)) as copy:
            source.backup(copy)

    def run(self, verb, *options):
        """Seconds, and what it printed."""
        command = [self.program, verb, "--run", self.atlas, *self.asked_of, *map(str, options), "--json"]
        begin = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.monotonic() - begin
        if not done.stdout:  # where nothing at all could be read it fails, but says so in JSON first
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        for line in done.stderr.splitlines():
            # Then the other side may have had more to do; each start learns it anew.
            if "refused a field" in line and line not in self.said:
                self.said.add(line)
                print(f"{verb} at {self.asked_of[1]}: {line.strip()}", file=sys.stderr)
        return seconds, json.loads(done.stdout)

    def explain(self, n):
        """Those of the first n features that it has not explained."""
        seconds, counts = self.run("explain", "--first", n)
        unread = sum(counts[why] for why in ("unparsable", "refused", "copied", "failed"))
        return Turn(seconds, counts["explained"] + unread, counts["explained"])

    def judge(self, scorer, n):
        """The windows of those of the first n explanations that it has not scored."""
        asked, read = self.judged(scorer)
        seconds, _ = self.run("score", "--scorer", scorer, "--ask", "verdicts", "--windows", WINDOWS[scorer],
                              "--explainer", "lexical", "--floors", 0, "--first", n)
        asked_now, read_now = self.judged(scorer)
        return Turn(seconds, asked_now - asked, read_now - read)

    def judged(self, scorer):
        with contextlib.closing(open_atlas(self.atlas)) as atlas:
            return atlas.execute(
                "SELECT total(n_windows), total(n_windows - n_unparsable - n_refused - n_failed) FROM scores"
                " WHERE scorer = ? AND simulator = ?", (scorer, NAME)).fetchone()


def open_atlas(path):
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def places_with_windows(run):
    """Which of the lexical explanations, in the order of `score --first`, have windows enough: those that were scored
    offline."""
    with contextlib.closing(open_atlas(run)) as atlas:
        rows = atlas.execute(
            "SELECT (SELECT max(n_windows) FROM scores WHERE explanation_id = e.id AND simulator = 'lexical')"
            " FROM explanations e JOIN features f ON f.id = e.feature_id WHERE e.explainer = 'lexical'"
            " AND e.language = 'en' AND e.status = 'ok' AND f.status = 'ok' ORDER BY e.id").fetchall()
    return [place for place, (n_windows,) in enumerate(rows, 1) if n_windows]


# ---- Table ---------------------------------------------------------------------------------------


def in_turns(rounds, *sides):
    """The turns of each side, a function of the turn's number. Turn 0 warms up."""
    turns = [[side(i) for side in sides] for i in range(rounds + 1)]
    return zip(*turns[1:])


def explaining(side, options):
    return lambda i: side.explain((i + 1) * options.features)


def judging(side, scorer, places):
    return lambda i: side.judge(scorer, places[i])


def row(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def cells_of(turns):
    rates = [rate(turn) for turn in turns]
    read, asked = sum(turn.read for turn in turns), sum(turn.asked for turn in turns)
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})", f"{read:,.0f} of {asked:,.0f}"


def report(name, work, own, theirs=None):
    cells = [*cells_of(own)]
    if theirs:
        ratios = [rate(a) / rate(b) if b.read else float("inf") for a, b in zip(own, theirs)]
        cells += [*cells_of(theirs), f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"]
    row(name, work, *cells)


def header(*numbers):
    row("model", "an hour", *numbers)
    row("---", "---", *["--:"] * len(numbers))


def compare(name, options, places, *sides):
    report(name, "features explained", *in_turns(options.rounds, *(explaining(side, options) for side in sides)))
    for scorer in WINDOWS:
        report(name, f"windows judged, {scorer}",
               *in_turns(options.rounds, *(judging(side, scorer, places) for side in sides)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--peer", help="llama.cpp's llama-server")
    parser.add_argument("--run", default="runs/demo", help="explained and scored by the lexical baseline [runs/demo]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--features", type=int, default=CONCURRENCY, help="explained in a turn [8]")
    parser.add_argument("--log", default=os.devnull, help="what the servers say")
    options = parser.parse_args()
    models = [model for model in options.models if os.path.exists(model)]
    for model in sorted(set(options.models) - set(models)):
        print(f"left out, because the file is not there (scripts/setup.sh qwen brings it): {model}", file=sys.stderr)
    if not models:
        return
    run = f"{options.run}/atlas.sqlite"
    if not os.path.exists(run):
        print(f"explaining is left out, because {run} is not there (make demo SERVE=0 makes it)", file=sys.stderr)
        return
    places = places_with_windows(run)
    if len(places) <= options.rounds:
        sys.exit(f"{run}: expected more than {options.rounds} explanations with a lexical score, got {len(places)}; "
                 f"run `safesail score --run {options.run}`, or fewer --rounds")

    peer_columns = ["llama.cpp", "read", "ratio"] if options.peer else []
    header("Safesail", "read", *peer_columns)
    for model in models:
        name = pathlib.Path(model).stem
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            log = stack.enter_context(open(options.log, "a"))
            servers = [ours(options.program, model)] + ([llama(options.peer, model)] if options.peer else [])
            compare(name, options, places, *(
                Side(options.program, stack.enter_context(serving(server, log)), run, folder) for server in servers))


main()
