#!/usr/bin/env python3
"""Mean Zipf frequency of the words that only one side of a pair has, concept and counterpart (docs/pairs.md).

    pip install wordfreq==3.1.1 jieba; scripts/pairs_frequency.py data/pairs/*.jsonl

Words are wordfreq's; one that it does not know counts 0.
"""
import collections
import json
import statistics
import sys

from wordfreq import tokenize, zipf_frequency

frequencies = collections.defaultdict(lambda: ([], []))
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as lines:
        for pair in map(json.loads, lines):
            language = pair["language"]
            words = [set(tokenize(pair[side], language)) for side in ("text", "counterpart")]
            for mine, other, values in zip(words, reversed(words), frequencies[language]):
                values += (zipf_frequency(word, language) for word in sorted(mine - other))
for language, sides in frequencies.items():
    print(language, " / ".join(f"{statistics.mean(values):.2f}" for values in sides))
