#!/usr/bin/env python3
"""Checks the concept-contrastive pairs: schema, counts, and that form does not give the concept's side away.

    scripts/check_pairs.py data/pairs/*.jsonl        a table; exit code 1 and FILE:LINE a violation

docs/pairs.md says what each rule is for.
"""
import collections
import json
import math
import pathlib
import random
import re
import sys
import unicodedata

KEYS = ("pair", "domain", "subclass", "concept", "language", "text", "counterpart", "source")
SUBCLASSES = {
    "politics": ("political_figure", "political_event", "ideology", "cult"),
    "pornography": ("sexual_behavior", "sexual_abuse", "sexual_health", "intimate_relationship"),
    "violence": ("insult", "physical_violence", "criminal_offense", "cybersecurity", "conflict_incident"),
    "terror": ("terrorism", "religious_oppression", "extremist_activities", "weapons"),
}
LANGUAGES = ("en", "zh", "hi")
SCRIPTS = {"en": re.compile(r"[ -~]+"), "zh": re.compile(r"[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef“”·]+"),
           "hi": re.compile(r"[\u0900-\u097f ,.?!\"-]+")}
QUESTION_MARKS = "?？"
MIN_PAIRS = 40            # a subclass and language
MIN_CONCEPTS = 10         # finest ones, of a subclass: half of them are held out of selection
WORDS = (8, 30)           # of a text; in Chinese, which has no spaces, three characters count as two words
MAX_SPAN = 0.75           # share of the longer text that the differing span may take
MAX_LENGTH_GAP = 0.05     # between the sides' mean lengths, over a language
MAX_SUBCLASS_GAP = 0.10   # the same, over a subclass
MAX_COUNT_GAP = 0.05      # between the sides' numbers of capitals, digits, punctuation marks
MAX_MIRROR = 0.025        # share of pairs to which the counterpart adds the same word: no neutral subject may be a cue
MAX_STEM = 0.2            # share of a subclass's pairs whose texts add the same stem: no word may stand for the concept
STEM = {"en": 3, "zh": 1, "hi": 3}  # its length: of a run of letters, of a character, of a run of signs
MAX_ACCURACY = 0.60       # of the bag-of-format classifier
FOLDS = 5


def read(paths, report):
    """Every well-formed line, as a dict that knows where it stands."""
    for path in paths:
        for number, line in enumerate(pathlib.Path(path).read_text(encoding="utf-8").splitlines(), 1):
            where = f"{path}:{number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                report(where, f"not JSON: {error}")
                continue
            if not isinstance(row, dict) or tuple(row) != KEYS:
                report(where, f"expected an object with the keys {', '.join(KEYS)}, in this order")
            elif not all(isinstance(value, str) and value == value.strip() != "" for value in row.values()):
                report(where, "every value is a string without outer spaces, and not empty")
            else:
                yield row | {"where": where}


def words(text, language):
    return re.findall(r"(?=(..))", text) if language == "zh" else re.findall(r"[^\s,.?!\"।]+", text.lower())


def stems(text, language):
    """Every run of a few letters within a word: "ism", "cult", the character 教."""
    size = STEM[language]
    parts = re.findall(r"[\u4e00-\u9fff]+", text) if language == "zh" else words(text, language)
    return {part[i:i + size] for part in parts for i in range(max(1, len(part) - size + 1))}


def n_words(text, language):
    return len(text) * 2 // 3 if language == "zh" else len(text.split())


def frame(row):
    """What both sides share: the longest common start and end."""
    a, b = row["text"], row["counterpart"]
    start = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    rest = min(len(a), len(b)) - start
    end = next((i for i in range(rest) if a[-1 - i] != b[-1 - i]), rest)
    return a[:start], a[len(a) - end:]


def check_row(row, report):
    where, language = row["where"], row["language"]
    if row["subclass"] not in SUBCLASSES.get(row["domain"], ()):
        report(where, f"no subclass {row['subclass']} in domain {row['domain']}")
    if not re.fullmatch(re.escape(row["subclass"]) + r"-\d\d", row["pair"]):
        report(where, f"expected a pair id like {row['subclass']}-07, got {row['pair']}")
    if language not in LANGUAGES:
        report(where, f"expected a language of {', '.join(LANGUAGES)}, got {language}")
        return
    a, b = row["text"], row["counterpart"]
    if a == b:
        report(where, "text and counterpart are the same")
        return
    for side in (a, b):
        if side != unicodedata.normalize("NFC", side):
            report(where, f"not in Unicode's normal form C: {side}")
        if not SCRIPTS[language].fullmatch(side):
            report(where, f"a character that {language} does not use here: {SCRIPTS[language].sub('', side)}")
        if not WORDS[0] <= n_words(side, language) <= WORDS[1]:
            report(where, f"expected {WORDS[0]} to {WORDS[1]} words, got {n_words(side, language)}: {side}")
    if (a[-1] in QUESTION_MARKS) != (b[-1] in QUESTION_MARKS):
        report(where, "one side is a question, the other is not")
    if 1 - sum(map(len, frame(row))) / max(len(a), len(b)) > MAX_SPAN:
        report(where, f"more than {MAX_SPAN:.0%} of the text differs")


def check_set(rows, report):
    """What only all lines together show: ids, translations, duplicates, counts."""
    seen, texts, frames = {}, {}, {}
    for row in rows:
        key = row["language"], row["pair"]
        if key in seen:
            report(row["where"], f"pair {row['pair']} was already at {seen[key]['where']}")
        seen[key] = row
        for text in (row["text"], row["counterpart"]):
            if first := texts.setdefault(text, row["where"]):
                if first != row["where"]:
                    report(row["where"], f"the same text as at {first}")
        if (first := frames.setdefault(frame(row), row["where"])) != row["where"]:
            report(row["where"], f"the same frame as at {first}")
    for (language, pair), row in seen.items():
        for other in LANGUAGES:
            twin = seen.get((other, pair))
            if twin is None:
                report(row["where"], f"pair {pair} is missing in {other}")
            elif twin["concept"] != row["concept"]:
                report(row["where"], f"concept '{row['concept']}', but '{twin['concept']}' in {other}")
    counts, concepts = collections.Counter(), collections.defaultdict(set)
    for row in rows:
        counts[row["language"], row["subclass"]] += 1
        concepts[row["language"], row["subclass"]].add(row["concept"])
    for language in LANGUAGES:
        for subclass in (s for domain in SUBCLASSES.values() for s in domain):
            if counts[language, subclass] < MIN_PAIRS:
                report(language, f"{counts[language, subclass]} pairs of {subclass}, at least {MIN_PAIRS}")
            if (n := len(concepts[language, subclass])) < MIN_CONCEPTS:
                report(language, f"{n} concepts in {subclass}, at least {MIN_CONCEPTS}")


def character_class(c):
    return "upper" if c.isupper() else "digit" if c.isdigit() else unicodedata.category(c)[0]


def tally(text):
    """Counts that are form, not meaning."""
    marks = collections.Counter(c for c in text if unicodedata.category(c)[0] == "P")
    return {f"mark {c}": n for c, n in marks.items()} | {
        "digits": sum(c.isdigit() for c in text), "capitals": sum(c.isupper() for c in text),
        "nuktas": text.count("\u093c")}  # Hindi spells a word with or without its dot


def features(text, language):
    """Bag of format: {name: value}, lengths both as numbers of order one and as buckets."""
    counts = tally(text)
    named = {name: float(n) for name, n in counts.items()}
    n = n_words(text, language)
    return named | {
        "length": len(text) / 100, f"length {len(text) // 10}": 1.0, "words": n / 10, f"words {n}": 1.0,
        "capital share": 10 * counts["capitals"] / len(text),
        f"first {character_class(text[0])}": 1.0, f"last {character_class(text[-1])}": 1.0, f"last {text[-1]}": 1.0}


def minus(a, b):
    return {name: a.get(name, 0.0) - b.get(name, 0.0) for name in a | b}


def accuracy(samples):
    """Logistic regression, five folds by pair; samples: [(pair number, features, is concept)]."""
    hits = 0.0
    for fold in range(FOLDS):
        weights, bias, order = collections.defaultdict(float), 0.0, random.Random(fold)
        known = [s for s in samples if s[0] % FOLDS != fold]
        for epoch in range(30):
            order.shuffle(known)
            rate = 0.2 / (1 + epoch)
            for _, named, label in known:
                z = bias + sum(weights[name] * value for name, value in named.items())
                step = rate * (label - 1 / (1 + math.exp(-max(-30.0, min(30.0, z)))))
                bias += step
                for name, value in named.items():
                    weights[name] += step * value
        for number, named, label in samples:
            if number % FOLDS == fold:
                z = bias + sum(weights[name] * value for name, value in named.items())
                # Sides of the same format are a toss-up.
                hits += ((z > 0) == label) if any(named.values()) else 0.5
    return hits / len(samples)


def classify(rows, language):
    """How often form alone finds the concept's side: of a lone text, and of the two texts of a pair."""
    # Shuffled: neighbours in the file are of one subclass, and a fold should have some of each.
    rows = random.Random(7).sample(rows, len(rows))
    single, paired = [], []
    for number, row in enumerate(rows):
        a, b = (features(row[side], language) for side in ("text", "counterpart"))
        single += [(number, a, True), (number, b, False)]
        first = number // FOLDS % 2 == 0  # which side is shown first says nothing
        paired.append((number, minus(a, b) if first else minus(b, a), first))
    return accuracy(single), accuracy(paired)


def gap(a, b):
    return abs(a - b) / max(a, b, 1)


def check_stems(rows, language, report):
    """A feature of one word, or of a part of one, must not pass for a feature of the subclass."""
    for subclass in sorted({row["subclass"] for row in rows}):
        own = [row for row in rows if row["subclass"] == subclass]
        added = collections.Counter()
        for row in own:
            a, b = (stems(row[side], language) for side in ("text", "counterpart"))
            added.update(a - b)
            added.subtract(b - a)
        for stem, n in added.items():
            if n > MAX_STEM * len(own):
                report(language, f"{subclass}: '{stem}' is in {n} more texts than counterparts, of {len(own)}")


def check_balance(rows, language, report):
    lengths = [sum(len(row[side]) for row in rows) for side in ("text", "counterpart")]
    if gap(*lengths) > MAX_LENGTH_GAP:
        report(language, f"mean lengths of the sides differ by {gap(*lengths):.1%}")
    for subclass in sorted({row["subclass"] for row in rows}):
        part = [sum(len(row[side]) for row in rows if row["subclass"] == subclass) for side in ("text", "counterpart")]
        if gap(*part) > MAX_SUBCLASS_GAP:
            report(language, f"{subclass}: mean lengths of the sides differ by {gap(*part):.1%}")
    totals = [collections.Counter(), collections.Counter()]
    mirror = collections.Counter()
    for row in rows:
        for total, side in zip(totals, ("text", "counterpart")):
            total.update(tally(row[side]))
        a, b = (set(words(row[side], language)) for side in ("text", "counterpart"))
        mirror.update(b - a)
        mirror.subtract(a - b)
    for name in totals[0] | totals[1]:
        if gap(totals[0][name], totals[1][name]) > MAX_COUNT_GAP and abs(totals[0][name] - totals[1][name]) > 2:
            report(language, f"{name}: {totals[0][name]} on the concept's side, {totals[1][name]} on the other")
    for word, n in mirror.items():
        if n > MAX_MIRROR * len(rows):
            report(language, f"'{word}' is in {n} more counterparts than texts")
    check_stems(rows, language, report)
    single, paired = classify(rows, language)
    if max(single, paired) > MAX_ACCURACY:
        report(language, f"form alone tells the sides apart: {single:.1%} of texts, {paired:.1%} of pairs")
    means = " ".join(f"{n / len(rows):12.1f}" for n in lengths)
    questions = sum(row["text"][-1] in QUESTION_MARKS for row in rows)
    print(f"{language:8} {len(rows):5} {means} {questions:10} {single:12.1%} {paired:12.1%}   "
          + ", ".join(f"{word} {n}" for word, n in mirror.most_common(3)))


def main():
    problems = []

    def report(where, what):
        problems.append(f"{where}: {what}")

    rows = list(read(sys.argv[1:], report))
    for row in rows:
        check_row(row, report)
    check_set(rows, report)
    print("language pairs  mean length  counterpart  questions  acc. a text  acc. a pair   words most added by counterparts")
    for language in LANGUAGES:
        if ours := [row for row in rows if row["language"] == language]:
            check_balance(ours, language, report)
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
