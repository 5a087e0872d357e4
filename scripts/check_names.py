#!/usr/bin/env python3
"""Checks that no two types of the namespace have the same name.

    scripts/check_names.py        exit code 1 and one line a violation

Two headers may define `struct Answer` each, and nothing complains as long as no file includes both;
but their constructors and destructors have the same symbols, and the linker keeps one of them for
both. Types in unnamed namespaces are free to have any name.
"""
import pathlib
import re
import sys

TYPE = re.compile(r"(?:template <.*> ?)?(?:struct|class|union|enum class|enum) (\w+)(?: final)?\s*(?:\{|:(?![:;])(?!.*;$)|$)")


def types(path):
    """(line number, name) of each type that is defined at the left margin, outside unnamed namespaces."""
    unnamed = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("namespace {"):
            unnamed = True
        elif line.startswith("}  // namespace"):
            unnamed = False
        elif not unnamed and (found := TYPE.match(line)):
            yield number, found[1]


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    places = {}
    for folder in ("src", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".cc", ".h"}:
                for number, name in types(path):
                    places.setdefault(name, []).append(f"{path.relative_to(root)}:{number}")
    twins = {name: where for name, where in places.items() if len(where) > 1}
    for name, where in sorted(twins.items()):
        print(f"{where[0]}: {name} is also defined at {', '.join(where[1:])}; give one another name")
    return 1 if twins else 0


if __name__ == "__main__":
    sys.exit(main())
