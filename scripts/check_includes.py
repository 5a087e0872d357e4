#!/usr/bin/env python3
"""Checks that every file includes only its own room and rooms above it (docs/architecture.md).

    scripts/check_includes.py        exit code 1 and one line a violation
"""
import pathlib
import re
import sys

# In the order in which the data walks through them.
ROOMS = ["base", "formats", "text", "model", "sae", "harvest", "train", "select", "interpret", "atlas",
         "diagnose", "serve", "cli"]
# ATen is slow to parse and belongs to the tensor rooms; no header may pull it in.
TENSOR_ROOMS = {"model", "sae", "harvest", "train", "diagnose"}
MAX_LINES = 800


def problems(root):
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in {".cc", ".h"} or "rust" in path.parts:
            continue
        room = path.relative_to(root / "src").parts[0]
        if room not in ROOMS:
            if path.name != "main.cc":
                yield f"{path}: '{room}' is not a room"
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > MAX_LINES:
            yield f"{path}: {len(lines)} lines, at most {MAX_LINES}"
        for number, line in enumerate(lines, 1):
            include = re.match(r'\s*#include\s+([<"])([^>"]+)', line)
            if not include:
                continue
            target = include[2]
            other = target.split("/")[0]
            if include[1] == '"' and other in ROOMS and ROOMS.index(other) > ROOMS.index(room):
                yield f"{path}:{number}: {room}/ includes {target}, a room below it"
            if target.startswith(("ATen/", "torch/", "c10/")):
                if path.suffix == ".h":
                    yield f"{path}:{number}: {target} in a header; forward-declare at::Tensor"
                elif room not in TENSOR_ROOMS:
                    yield f"{path}:{number}: {target} outside the tensor rooms"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    found = list(problems(root))
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
