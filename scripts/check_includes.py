#!/usr/bin/env python3
"""Checks that every file includes only its own room and rooms above it (docs/architecture.md).

    scripts/check_includes.py        exit code 1 and one line a violation
"""
import pathlib
import re
import sys

# In the order in which the data walks through them.
ROOMS = ["base", "formats", "text", "model", "sae", "harvest", "stages", "train", "select", "interpret", "atlas",
         "run", "diagnose", "serve", "cli"]
# ATen belongs to the tensor rooms. All of it takes six seconds to parse, so headers name what they need
# (ATen/core/Tensor.h, or a forward declaration); only what tests share may include it whole.
TENSOR_ROOMS = {"model", "sae", "harvest", "train", "diagnose"}
TENSOR_INCLUDES = ("ATen/", "torch/", "c10/")
TEST_HEADER = re.compile(r"test(_support|ing)\.h$")
MAX_LINES = 800


INCLUDE = re.compile(r'\s*#include\s+([<"])([^>"]+)')


def includes(path):
    """(line number, target, is ours) of each include of a file."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if found := INCLUDE.match(line):
            yield number, found[2], found[1] == '"'


def problems(root):
    src = root / "src"
    files = [p for p in sorted(src.rglob("*")) if p.suffix in {".cc", ".h"} and "rust" not in p.parts]
    tensor_headers = {str(p.relative_to(src)) for p in files if p.suffix == ".h"
                      and any(t.startswith(TENSOR_INCLUDES) for _, t, _ in includes(p))}
    for path in files:
        name = path.relative_to(src)
        room = name.parts[0]
        if room not in ROOMS:
            if path.name != "main.cc":
                yield f"{name}: '{room}' is not a room"
            continue
        n_lines = len(path.read_text(encoding="utf-8").splitlines())
        if n_lines > MAX_LINES:
            yield f"{name}: {n_lines} lines, at most {MAX_LINES}"
        for number, target, ours in includes(path):
            where = f"{name}:{number}"
            other = target.split("/")[0]
            if ours and other in ROOMS and ROOMS.index(other) > ROOMS.index(room):
                yield f"{where}: {room}/ includes {target}, a room below it"
            if target in tensor_headers or target.startswith(TENSOR_INCLUDES):
                if room not in TENSOR_ROOMS:
                    yield f"{where}: {target} outside the tensor rooms"
            if target in {"ATen/ATen.h", "torch/torch.h"} and path.suffix == ".h" and not TEST_HEADER.search(path.name):
                yield f"{where}: all of ATen in a header; include ATen/core/Tensor.h or forward-declare"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    found = list(problems(root))
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
