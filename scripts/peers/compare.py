"""Times our program and each peer in turns (ours, peer, ours, peer...) and prints Markdown tables.

    compare.py OUR_PROGRAM MODEL.gguf MODEL_BF16.gguf LOG [ROUNDS] [lm] [sae]

Both programs of a pair stay loaded and wait while the other runs. Each runs a case twice before
anything is counted, and a short case several times a turn. Rates are medians over the rounds (slowest
and fastest behind them); the ratio is the median of the rounds' own ratios, so that a slow minute of
the machine hits both sides.
"""
import math
import os
import pathlib
import statistics
import sys

from worker import Ended, Program

here = pathlib.Path(__file__).parent
threads = os.cpu_count()
environment = {
    "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "SPARSIFY_DISABLE_TRITON": "1",
    "HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "TOKENIZERS_PARALLELISM": "false",
}

PREFILL = ["prefill 8 128 all", "prefill 8 128 last", "prefill 4 512 all", "prefill 4 512 last"]
DECODE = ["decode 64"]
DEMO, PAPER, PAPER_LARGE = "step topk 576 4608 32 1024", "step topk 2048 20480 200 1024", "step topk 2048 20480 200 4096"
OTHERS = [f"step {name} 2048 20480 200 1024" for name in ("batchtopk", "matryoshka", "jumprelu", "relu", "gated")]


def tokens_of(case):
    words = case.split()
    if words[0] == "prefill":
        return int(words[1]) * int(words[2])
    return int(words[1] if words[0] == "decode" else words[5])


def described(case):
    words = case.split()
    if words[0] == "prefill":
        return f"prefill {words[1]} x {words[2]}, {'all' if words[3] == 'all' else 'last'} logits"
    if words[0] == "decode":
        return "decode, batch 1"
    return "{1}, d {2}, F {3}, k {4}, B {5}".format(*words)


def rate_text(rates):
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})"


def turns(program, case):
    """Warms up, and says how many runs make a turn of half a second or more."""
    program.run(case)
    return math.ceil(0.5 / program.run(case))


def average(program, case, n):
    return sum(program.run(case) for _ in range(n)) / n


def compare(ours, peer, peer_name, cases, rounds):
    """`cases`: pairs of what each side is told. A peer that crashes is left out from there on."""
    for our_case, peer_case in cases:
        n = tokens_of(our_case)
        try:
            repeats = turns(ours, our_case), turns(peer, peer_case)
            seconds = [
                (average(ours, our_case, repeats[0]), average(peer, peer_case, repeats[1])) for _ in range(rounds)
            ]
        except Ended as ended:
            if ended.program is ours:
                sys.exit(str(ended))
            print(f"| {described(our_case)} | | {peer_name} | crashed | |", flush=True)
            print(ended, file=sys.stderr)
            return
        ratios = [theirs / own for own, theirs in seconds]
        print(
            f"| {described(our_case)} | {rate_text([n / own for own, _ in seconds])} | {peer_name} "
            f"| {rate_text([n / theirs for _, theirs in seconds])} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) |",
            flush=True,
        )


def header(ours):
    print(f"\n| tokens/s | {ours} | peer | peer's tokens/s | ratio |\n| --- | --: | --- | --: | --: |", flush=True)


def main():
    our_program, model, model_bf16, log = sys.argv[1:5]
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 5
    parts = sys.argv[6:] or ["lm", "sae"]
    log = pathlib.Path(log)

    def program(*command):
        return Program(command, log, environment)

    def python(script, *arguments):
        return program(sys.executable, str(here / script), *arguments)

    if "lm" in parts:
        header("Safesail, bf16")
        for name, cases, command in (
            ("transformers, bf16", PREFILL + DECODE, ("lm_transformers.py", model)),
            ("llama.cpp, bf16", PREFILL + DECODE, ("lm_llama.py", model_bf16, str(threads))),
            ("llama.cpp, Q4_1", PREFILL[1:2] + DECODE, ("lm_llama.py", model, str(threads))),
        ):
            with program(our_program, model) as ours, python(*command) as peer:
                compare(ours, peer, name, [(case, case) for case in cases], rounds)

    if "sae" in parts:
        header("Safesail")
        for name, ours_by, peer_name, cases in (
            ("sparsify, f32; ours all f32", "f32", "sparsify", [DEMO, PAPER]),
            ("sparsify, f32", "bf16", "sparsify", [DEMO, PAPER, PAPER_LARGE]),
            ("SAELens, f32", "bf16", "saelens", [DEMO, PAPER, PAPER_LARGE]),
            ("SAELens, bf16 autocast", "bf16", "saelens-bf16", [DEMO, PAPER]),
            ("dictionary_learning, f32", "bf16", "dictionary_learning", [DEMO, PAPER]),
            ("SAELens, bf16 autocast", "bf16", "saelens-bf16", OTHERS),
            ("dictionary_learning, f32", "bf16", "dictionary_learning", OTHERS),
        ):
            with program(our_program) as ours, python("sae_peers.py", peer_name) as peer:
                compare(ours, peer, name, [(f"{case} {ours_by}", case) for case in cases], rounds)


main()
