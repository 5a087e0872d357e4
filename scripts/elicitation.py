#!/usr/bin/env python3
"""How should a language model be asked where a feature fires? Ways of asking, compared on one atlas.

    scripts/elicitation.py RUN --endpoint http://127.0.0.1:8091/v1 --use calibrate --ways verdicts literal

Features are those whose lexical explanation tells the test windows apart with an AUROC of --lexical
or more, --features of them drawn by the seed; of each, --windows firing and as many silent windows
of one use, taken in turn from levels and kinds as `safesail score` does. What is chosen is chosen on
calibrate windows and reported on test windows. For each way: the mean AUROC over features with a 95 %
interval (features drawn with replacement), the balanced accuracy at even odds, the floor (each
feature's windows asked about with the next feature's explanation) and, on test windows, the stored
answers of the lexical simulator on the same windows. Answers are kept in --cache by the hash of
their request and are never asked for twice.

The endpoint is `safesail serve --openai`: its answer forms read the choices at all slots in one pass.
Needs `safesail score --run RUN --scorer detection` first. Python's standard library only.
"""
import argparse
import hashlib
import json
import math
import pathlib
import random
import re
import sqlite3
import statistics
import struct
import sys
import time
import urllib.error
import urllib.request

KINDS = {"silent": 0, "hard_token": 1, "hard_cofiring": 2}


# ---- Windows -------------------------------------------------------------------------------------


def varints(blob):
    value = shift = 0
    for byte in blob:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0


def sparse(blob, n):
    values, at, rest = [0.0] * n, 0, bytes(blob)
    while rest:
        size = next(i for i, byte in enumerate(rest) if byte < 0x80) + 1
        at += next(varints(rest[:size]))
        (values[at],) = struct.unpack("<f", rest[size : size + 4])
        at, rest = at + 1, rest[size + 4 :]
    return values


def floats(blob):
    return [value for (value,) in struct.iter_unpack("<f", blob)]


def level_of(activation, quantile):
    return min(10, max(0, math.floor(10 * activation / quantile + 0.5))) if quantile > 0 else 0


class Window:
    def __init__(self, row, quantile):
        self.place, self.kind, self.document, self.text = row["place"], row["kind"], row["document"], row["text"]
        starts, at = [], 0
        for step in varints(row["starts"]):
            at += step
            starts.append(at)
        activation = sparse(row["activation"], len(starts) - 1)
        raw = self.text.encode()
        self.tokens = []  # (text, level), a character that several tokens share being one unit
        for begin, end, value in zip(starts, starts[1:], activation):
            if begin == end:
                continue
            level = level_of(value, quantile)
            if self.tokens and raw[begin] & 0xC0 == 0x80:
                before, high = self.tokens[-1]
                self.tokens[-1] = (before + raw[begin:end], max(high, level))
            else:
                self.tokens.append((raw[begin:end], level))
        self.tokens = [(text.decode(errors="replace"), level) for text, level in self.tokens]
        self.level = max((level for _, level in self.tokens), default=0)
        self.fires = self.level >= 1

    def segments(self, n_words=4):
        """Runs of whole words as the segment scorer cuts them (by blanks: near enough for a study)."""
        pieces = []  # (text, level)
        for text, level in self.tokens:
            if not pieces or text[:1].isspace():
                pieces.append((text, level))
            else:
                pieces[-1] = (pieces[-1][0] + text, max(pieces[-1][1], level))
        segments, count = [], 0
        for text, level in pieces:
            if not segments or count == n_words or segments[-1][0].rstrip()[-1:] in ".!?;":
                segments.append((text, level))
                count = 1
            else:
                segments[-1] = (segments[-1][0] + text, max(segments[-1][1], level))
                count += 1
        return [(text.strip(), float(level >= 1)) for text, level in segments if text.strip()]


def in_turn(strata, n, rng):
    for members in strata.values():
        rng.shuffle(members)
    taken, turn = [], 0
    n = min(n, sum(len(members) for members in strata.values()))
    while len(taken) < n:
        for key in sorted(strata):
            if turn < len(strata[key]) and len(taken) < n:
                taken.append(strata[key][turn])
        turn += 1
    return taken


class Feature:
    pass


def load(path, options):
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    base.row_factory = sqlite3.Row
    rows = base.execute(
        "SELECT f.id, f.quantile, s.name || ':' || f.feature AS name, e.short_text, e.long_text,"
        " c.id AS score, c.details FROM features f JOIN saes s ON s.id = f.sae_id"
        " JOIN explanations e ON e.feature_id = f.id JOIN scores c ON c.explanation_id = e.id"
        " WHERE e.explainer = 'lexical' AND e.language = 'en' AND c.scorer = 'detection'"
        " AND c.simulator = 'lexical' AND c.value IS NOT NULL ORDER BY f.id").fetchall()
    rows = [r for r in rows if (json.loads(r["details"])["auroc"]["value"] or 0) >= options.lexical]
    order = list(range(len(rows)))
    random.Random(f"features {options.seed}").shuffle(order)
    features = []
    for i in order:
        row, feature = rows[i], Feature()
        if len(features) == options.features:
            break
        feature.name, feature.gist = row["name"], gist(row["short_text"], row["long_text"])
        lexical = {r["place"]: floats(r["simulated"]) for r in base.execute(
            "SELECT place, simulated FROM simulations WHERE score_id = ?", (row["score"],))}
        others, windows = set(), []
        for r in base.execute(
                "SELECT e.*, w.document, w.text, w.starts FROM exemplars e JOIN windows w ON w.id = e.window_id"
                " WHERE e.feature_id = ? ORDER BY e.place", (row["id"],)):
            if r["use"] != options.use:
                others.update([r["document"], r["text"]])
            elif options.use != "test" or r["place"] in lexical:
                windows.append(Window(r, row["quantile"]))
        firing, silent, seen = {}, {}, set()
        for w in windows:
            if w.text in seen or w.text in others or w.document in others:
                continue
            seen.add(w.text)
            if w.fires:
                firing.setdefault(11 if w.kind == "top" else w.level, []).append(w)
            else:
                silent.setdefault(KINDS.get(w.kind, -1), []).append(w)
        rng = random.Random(f"windows {options.seed} {feature.name}")
        sides = [in_turn(side, options.windows, rng) for side in (firing, silent)]
        if min(map(len, sides)) < options.windows:
            continue
        feature.windows = sides[0] + sides[1]
        rng.shuffle(feature.windows)
        feature.lexical = [lexical[w.place][0] for w in feature.windows] if options.use == "test" else None
        features.append(feature)
    return features


class PlantedWindow(Window):
    """A text of which it is known by construction whether, and at which words, its feature fires."""

    def __init__(self, text, fires, words=()):
        self.text, self.fires, self.kind, self.level = text, fires, "planted", 10 * fires
        self.tokens = [(piece, 10 * (bare(piece) in words)) for piece in re.findall(r"\s*\S+", text)]


def bare(piece):
    return re.sub(r"\W", "", piece).lower()


def half_of(text):
    return "test" if hashlib.sha256(text.encode()).digest()[0] & 1 else "calibrate"


def planted_words(path, options):
    """Each fires at five words, and that is its explanation: windows of the atlas with one of them, or none."""
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    texts = sorted({text for (text,) in base.execute("SELECT text FROM windows") if half_of(text) == options.use})
    holders = {}
    for text in texts:
        for word in {bare(piece) for piece in text.split()}:
            holders.setdefault(word, []).append(text)
    usable = sorted(w for w, held in holders.items() if w.isalpha() and len(w) > 3 and 3 <= len(held) <= 40)
    rng, features = random.Random(f"words {options.seed} {options.use}"), []
    for _ in range(options.features):
        feature, words = Feature(), rng.sample(usable, 5)
        holding = sorted({text for word in words for text in holders[word]})
        others = rng.sample([text for text in texts if text not in set(holding)], options.windows)
        feature.name, feature.gist, feature.lexical = "planted", ", ".join(words), None
        feature.windows = ([PlantedWindow(t, True, words) for t in rng.sample(holding, min(len(holding), options.windows))]
                           + [PlantedWindow(t, False) for t in others])
        rng.shuffle(feature.windows)
        features.append(feature)
    return features


def planted_subclasses(path, options):
    """Each fires in the texts of a subclass and not in their twins, and is explained by its name."""
    pairs = {}
    for line in path.open():
        pair = json.loads(line)
        if half_of(pair["pair"]) == options.use:
            pairs.setdefault(pair["subclass"], []).append(pair)
    features = []
    for subclass, members in sorted(pairs.items()):
        feature, rng = Feature(), random.Random(f"pairs {options.seed} {subclass}")
        members = rng.sample(members, min(len(members), options.windows))
        feature.name, feature.gist, feature.lexical = subclass, subclass.replace("_", " "), None
        feature.windows = [PlantedWindow(p["text"], True) for p in members] + [
            PlantedWindow(p["counterpart"], False) for p in members]
        rng.shuffle(feature.windows)
        features.append(feature)
    return features


def gist(short, long):
    """What is needed to judge a text: no shares, no promoted tokens, no second length."""
    text = short or long
    text = re.sub(r"\s*Promotes [^.]*\.", "", text)
    text = re.sub(r"\s*Dense: [^.]*\.", "", text)
    text = re.sub(r"\s*\(\d+ %[^)]*\)", "", text)
    text = re.sub(r"^Fires on (many different words, (among them|most strongly on) )?", "", text)
    return text.strip().rstrip(".")


# ---- Asking --------------------------------------------------------------------------------------


class Endpoint:
    def __init__(self, options):
        self.url, self.label = options.endpoint.rstrip("/") + "/chat/completions", options.label
        self.base = sqlite3.connect(options.cache, check_same_thread=False)
        self.base.execute("CREATE TABLE IF NOT EXISTS answers (hash TEXT PRIMARY KEY, answer TEXT)")

    def ask(self, messages, form, choices):
        """Log probabilities of the choices at each slot "_" of the form; tokens read anew; seconds."""
        body = {"messages": messages, "logprobs": True, "top_logprobs": 20, "temperature": 0,
                "answer_form": {"text": form, "slot": "_", "choices": choices}}
        text = json.dumps(body, sort_keys=True)
        key = hashlib.sha256(f"{self.label}\n{text}".encode()).hexdigest()
        row = self.base.execute("SELECT answer FROM answers WHERE hash = ?", (key,)).fetchone()
        if row is None:
            started = time.monotonic()
            request = urllib.request.Request(self.url, text.encode(), {"Content-Type": "application/json"})
            try:
                answer = json.load(urllib.request.urlopen(request, timeout=600))
            except urllib.error.HTTPError as error:
                sys.exit(f"{error}: {error.read().decode()[:500]}\n{text[:1000]}")
            usage = answer["usage"]
            slots = [{top["token"]: top["logprob"] for top in piece["top_logprobs"]}
                     for piece in answer["choices"][0]["logprobs"]["content"] if piece["top_logprobs"]]
            kept = {"slots": slots, "seconds": time.monotonic() - started,
                    "prompt": usage["prompt_tokens"] + usage["completion_tokens"],
                    "cached": usage["prompt_tokens_details"]["cached_tokens"]}
            self.base.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, json.dumps(kept)))
            self.base.commit()
            return kept
        return json.loads(row[0])


def log_odds(slot, yes, no):
    total = lambda words: math.log(sum(math.exp(slot[w]) for w in words if w in slot) + 1e-30)
    return total(yes) - total(no)


# ---- Ways ----------------------------------------------------------------------------------------

YES, NO = ["Yes", "yes"], ["No", "no"]


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


class PerWindow:
    """One window a request, by the program's own prompt."""

    def __init__(self, prompt="detection.v2"):
        text = (pathlib.Path(__file__).parent.parent / "prompts" / f"{prompt}.txt").read_text()
        self.prompt = [tuple(part.rstrip("\n").split("\n", 1)) for part in text.split("@@ ")[1:]]

    def messages(self, e, t):
        filled = {"{{explanation}}": quoted(e), "{{text}}": quoted(t)}
        return [{"role": role, "content": re.sub("|".join(filled), lambda m: filled[m[0]], content)}
                for role, content in self.prompt]

    def one(self, endpoint, e, t):
        answer = endpoint.ask(self.messages(e, t), "_", YES[:1] + NO[:1])
        return log_odds(answer["slots"][0], YES, NO), [answer]

    def judge(self, endpoint, e, windows):
        values, answers = [], []
        for w in windows:
            value, used = self.one(endpoint, e, w.text)
            values.append([value])
            answers += used
        return values, answers


class Turns(PerWindow):
    """The description in a message of its own: what stands before the text is read once a feature."""

    def messages(self, e, t):
        messages = []
        for message in super().messages(e, t):
            lines = message["content"].split("\n")
            messages += [message] if message["role"] != "user" else [
                user(lines[0]), assistant("I will look for that."), user("\n".join(lines[1:]))]
        return messages


class Each:
    """Every segment, or word, asked about as if it were the whole text."""

    def __init__(self, way, n_words=4):
        self.way, self.n_words = way, n_words

    def units(self, window):
        return window.segments(self.n_words)

    def judge(self, endpoint, e, windows):
        values, answers = [], []
        for w in windows:
            row = []
            for text, _ in self.units(w):
                value, used = self.way.one(endpoint, e, text)
                row.append(value)
                answers += used
            values.append(row)
        return values, answers


class List(Each):
    """The text's segments restated in one answer, 0 or 1 behind each, all read in one pass."""

    SYSTEM = ("You mark the parts of a text that match a description. Write each part of the text on a line, then 1 if a "
              "word of it matches the description, else 0.")
    EXAMPLES = [("peach, pear, plum, cherries", "two pears lay in the bowl beside the bread and a ripe plum",
                 ["pears", "plum"]),
                ("violin, cello, harp", "he tuned the trumpet for an hour before the hall filled", []),
                ("words that end in -ness or -ity", "the kindness of her neighbours was well known in town",
                 ["kindness"])]

    def written(self, pieces, verdicts):
        return "\n".join(f"{quoted(p).replace('_', '-')}:{v}" for p, v in zip(pieces, verdicts))

    def judge(self, endpoint, e, windows):
        messages = [{"role": "system", "content": self.SYSTEM}]
        for description, text, marked in self.EXAMPLES:
            words = text.split()
            parts = [" ".join(words[i : i + self.n_words]) for i in range(0, len(words), self.n_words)]
            messages += [user(f"Description: {description}\nText: {quoted(text)}"),
                         assistant(self.written(parts, [int(any(m in p for m in marked)) for p in parts]))]
        values, answers = [], []
        for w in windows:
            pieces = [text for text, _ in self.units(w)]
            answer = endpoint.ask(messages + [user(f"Description: {e}\nText: {quoted(w.text)}")],
                                  self.written(pieces, ["_"] * len(pieces)), ["0", "1"])
            values.append([log_odds(slot, ["1"], ["0"]) for slot in answer["slots"]])
            answers.append(answer)
        return values, answers


class Literal:
    """No model: how many of the explanation's own words stand in the text. What it says, taken by the letter."""

    COMMON = set("and other words in any some context contexts only often texts with after what follows many different "
                 "most strongly on among them numbers".split())

    def judge(self, endpoint, e, windows):
        named = set(re.findall(r"\w+", e.lower())) - self.COMMON
        values = [[len(named & set(re.findall(r"\w+", w.text.lower())))] for w in windows]
        return values, [{"prompt": 0, "cached": 0, "seconds": 0}]


WAYS = {
    "verdicts": PerWindow(),  # detection as the program asks, and so on
    "verdicts-segments": Each(PerWindow()),
    "verdicts-words": Each(PerWindow(), 1),
    "turns-segments": Each(Turns()),
    "list-segments": List(None),
    "literal": Literal(),
}


# ---- Numbers -------------------------------------------------------------------------------------


def auroc(values, truth):
    ones = [v for v, t in zip(values, truth) if t]
    zeros = [v for v, t in zip(values, truth) if not t]
    if not ones or not zeros:
        return math.nan
    return sum((a > b) + 0.5 * (a == b) for a in ones for b in zeros) / (len(ones) * len(zeros))


def pearson(x, y):
    try:
        return statistics.correlation(x, y)
    except statistics.StatisticsError:
        return 0.0


def balanced(values, truth, threshold=0.0):
    sides = [[(v > threshold) == bool(t) for v, t in zip(values, truth) if bool(t) == side] for side in (True, False)]
    return statistics.fmean(statistics.fmean(side) for side in sides)


def interval(values, seed=0, n=2000):
    """Mean and 95 % interval, by drawing features with replacement."""
    values = [v for v in values if not math.isnan(v)]
    if not values:
        return "-"
    rng = random.Random(seed)
    means = sorted(statistics.fmean(rng.choices(values, k=len(values))) for _ in range(n))
    return f"{statistics.fmean(values):.3f} [{means[int(.025 * n)]:.2f}, {means[int(.975 * n) - 1]:.2f}]"


def sigmoid(x):
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, x))))


def report(name, way, features, endpoint, options):
    area, even, floor, unit_area, unit_r, answers = [], [], [], [], [], []
    for i, feature in enumerate(features):
        truth = [w.fires for w in feature.windows]
        values, used = way.judge(endpoint, feature.gist, feature.windows)
        answers += used
        highest = [max(v) for v in values]
        area.append(auroc(highest, truth))
        even.append(balanced(highest, truth))
        if isinstance(way, Each):
            units = [fires for w in feature.windows for _, fires in way.units(w)]
            flat = [v for value in values for v in value]
            unit_area.append(auroc(flat, units))
            unit_r.append(pearson([sigmoid(v) for v in flat], units))
        if options.floor:
            other, _ = way.judge(endpoint, features[(i + 1) % len(features)].gist, feature.windows)
            floor.append(auroc([max(v) for v in other], truth))
    n_windows = sum(len(f.windows) for f in features)
    print(f"{name:18} AUROC {interval(area)}  even {interval(even)}"
          + (f"  floor {interval(floor)}" if floor else "")
          + (f"  units: AUROC {interval(unit_area)} r {interval(unit_r)}" if unit_area else "")
          + f"  tokens/window {sum(a['prompt'] for a in answers) / n_windows:.0f}"
          f" ({sum(a['prompt'] - a['cached'] for a in answers) / n_windows:.0f} new),"
          f" {sum(a['seconds'] for a in answers) / n_windows:.2f} s", flush=True)
    if options.each:
        print("   " + " ".join(f"{a:.2f}" for a in area), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--ways", nargs="*", default=[], metavar="WAY", help="none: the ways are listed")
    parser.add_argument("--endpoint")
    parser.add_argument("--label", default="model", help="names the model in the cache")
    parser.add_argument("--cache", default="elicitation.sqlite")
    parser.add_argument("--use", choices=["calibrate", "test"], default="calibrate")
    parser.add_argument("--truth", choices=["atlas", "words", "pairs"], default="atlas",
                        help="features of the atlas; planted ones (words; pairs: RUN is data/pairs/en.jsonl)")
    parser.add_argument("--features", type=int, default=14)
    parser.add_argument("--windows", type=int, default=8, help="of each side")
    parser.add_argument("--lexical", type=float, default=0.8, help="lexical AUROC of a feature at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--each", action="store_true", help="also each feature's AUROC")
    options = parser.parse_args()
    atlas = options.run if options.run.suffix == ".sqlite" else options.run / "atlas.sqlite"
    load_features = {"atlas": load, "words": planted_words, "pairs": planted_subclasses}[options.truth]
    features = load_features(options.run if options.truth == "pairs" else atlas, options)
    for feature in features:
        print(f"# {feature.name}  {feature.gist}")
    if not options.ways:
        print(" ".join(WAYS))
        return
    print(f"# {len(features)} features, {options.windows} {options.use} windows a side, {options.label}")
    if options.use == "test" and options.truth == "atlas":
        print("lexical            AUROC " + interval(
            [auroc(f.lexical, [w.fires for w in f.windows]) for f in features]))
    endpoint = Endpoint(options)
    for name in options.ways:
        report(name, WAYS[name], features, endpoint, options)


if __name__ == "__main__":
    main()
