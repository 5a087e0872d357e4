#!/usr/bin/env python3
"""WordNet's dictionary files -> a corpus of definitions, one JSON object a line.

    scripts/wordnet_corpus.py DICT_FOLDER OUT.jsonl

Each document is a synset's words with its gloss (definition and examples), as in
"entity: that which is perceived or known...". The order is that of the files.
"""
import json
import os
import pathlib
import sys


def documents(dictionary):
    for part in ("noun", "verb", "adj", "adv"):
        for line in (dictionary / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):  # the licence at the top of each file
                continue
            fields, _, gloss = line.partition(" | ")
            fields = fields.split()
            n_words = int(fields[3], 16)
            words = [w.replace("_", " ").partition("(")[0] for w in fields[4 : 4 + 2 * n_words : 2]]
            yield {"text": f"{', '.join(words)}: {gloss.strip()}", "part_of_speech": part}


def main():
    dictionary, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    partial = out.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        for document in documents(dictionary):
            file.write(json.dumps(document, ensure_ascii=False) + "\n")
    os.replace(partial, out)


if __name__ == "__main__":
    main()
