#!/usr/bin/env python3
"""Runs clang-tidy over the sources of a build folder but for unit tests, on every core, and remembers what was clean.

    scripts/tidy.py build/tidy

A source is looked at again when it, a header of the project, or .clang-tidy has changed.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def digest(paths):
    state = hashlib.sha256()
    for path in paths:
        state.update(path.read_bytes())
    return state.hexdigest()


def tidy(source, build):
    run = subprocess.run(["clang-tidy", "--quiet", "-p", str(build), str(source)], capture_output=True, text=True)
    return run.returncode == 0, run.stdout


def main():
    build = pathlib.Path(sys.argv[1])
    commands = json.loads((build / "compile_commands.json").read_text())
    files = {pathlib.Path(c["file"]) for c in commands}
    sources = sorted(f for f in files if f.is_relative_to(ROOT / "src") and not f.stem.endswith("_test"))
    shared = digest([*sorted((ROOT / "src").rglob("*.h")), ROOT / ".clang-tidy"])
    memory_path = build / "tidy-clean.json"
    memory = json.loads(memory_path.read_text()) if memory_path.exists() else {}
    keys = {source: shared + digest([source]) for source in sources}
    todo = [source for source in sources if memory.get(str(source)) != keys[source]]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, (clean, output) in zip(todo, pool.map(lambda s: tidy(s, build), todo)):
            if clean:
                memory[str(source)] = keys[source]
            else:
                failed += 1
                print(output)
    memory_path.write_text(json.dumps(memory))
    print(f"clang-tidy: {len(sources)} files, {len(todo)} looked at, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
