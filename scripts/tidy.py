#!/usr/bin/env python3
"""Runs clang-tidy over the sources of a build folder but for unit tests, on every core, and remembers what was clean.

    scripts/tidy.py build/tidy

A source is looked at again when it, a header of the project, .clang-tidy or clang-tidy itself has changed. What was clean is
remembered by its content under ~/.cache/safesail, so that another checkout of the same sources need not look again.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

MOST_REMEMBERED = 50_000  # a few megabytes
ROOT = pathlib.Path(__file__).resolve().parent.parent


def digest(paths):
    state = hashlib.sha256()
    for path in paths:
        state.update(path.read_bytes())
    return state.hexdigest()


def tidy(source, build):
    run = subprocess.run(["clang-tidy", "--quiet", "-p", str(build), str(source)], capture_output=True, text=True)
    return run.returncode == 0, run.stdout


def remembered(path):
    try:
        return set(path.read_text().split())
    except FileNotFoundError:
        return set()


def remember(path, clean):
    """Beside what another checkout has found meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    everything = remembered(path) | clean
    new.write_text("\n".join(sorted(everything if len(everything) <= MOST_REMEMBERED else clean)) + "\n")
    new.replace(path)


def main():
    build = pathlib.Path(sys.argv[1])
    commands = json.loads((build / "compile_commands.json").read_text())
    files = {pathlib.Path(c["file"]) for c in commands}
    sources = sorted(f for f in files if f.is_relative_to(ROOT / "src") and not f.stem.endswith("_test"))
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, text=True, check=True).stdout
    shared = digest([*sorted((ROOT / "src").rglob("*.h")), ROOT / ".clang-tidy"]) + version
    keys = {source: hashlib.sha256(f"{shared} {source.relative_to(ROOT)} {digest([source])}".encode()).hexdigest()
            for source in sources}
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "safesail/tidy-clean"
    known = remembered(cache)
    todo = [source for source in sources if keys[source] not in known]
    clean, failed = set(), 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for n, (source, (is_clean, output)) in enumerate(zip(todo, pool.map(lambda s: tidy(s, build), todo)), 1):
            if is_clean:
                clean.add(keys[source])
            else:
                failed += 1
                print(output)
            if n % 20 == 0:
                remember(cache, clean)  # a kill loses little
    if clean:
        remember(cache, clean)
    print(f"clang-tidy: {len(sources)} files, {len(todo)} looked at, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
