#!/usr/bin/env python3
"""What the bench programs printed -> Markdown tables, each number beside the machine's limit.

    scripts/bench_table.py LINES      JSON lines of bench_*, and the rows of bench_sae_step
"""
import json
import pathlib
import sys

SAE_COLUMNS = ("arch", "step", "d", "F", "k", "B", "tokens_per_s", "ms", "best_ms", "prepare", "encode", "refine", "decode",
               "backward", "adam", "memory")


def read(path):
    cases, steps = {}, []
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith("{"):
            case = json.loads(line)
            cases[case["case"]] = case
        elif line.startswith("arch"):
            steps.append([])  # a program starts
        elif len(line.split()) == len(SAE_COLUMNS) and line.split()[1] in ("bf16", "f32"):
            steps[-1].append(dict(zip(SAE_COLUMNS, line.split())))
    if len(steps) != 2:
        sys.exit(f"{path}: expected the rows of two runs of bench_sae_step, got {len(steps)}; run scripts/bench.sh")
    return cases, steps


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def rate(case):
    return f"{case['median_tokens_per_s']:,.0f} ({case['best_tokens_per_s']:,.0f})"


def limited(name, case, limit, limit_name):
    share = case["median_tokens_per_s"] / limit["tokens_per_s"]
    power = f"{limit['gflop_per_s']:,} GFLOP/s" if "gflop_per_s" in limit else f"{limit['gb_per_s']} GB/s"
    row(name, rate(case), f"{limit['tokens_per_s']:,.0f} ({limit_name}, {power})", f"{share:.0%}")


def main():
    cases, (topk, architectures) = read(sys.argv[1])
    print("\nTokens/s: median (best).\n")
    row("SmolLM2-135M, bf16", "tokens/s", "limit in the same run", "of the limit")
    row("---", "--:", "---", "--:")
    for name, case in cases.items():
        if " x " in name:
            logits = "all logits" if name.endswith("all logits") else "no logits"
            limit = cases[f"products of {case['tokens']} tokens, {logits}"]
            limited(f"prefill {name}", case, limit, "its matrix products")
    limited("decode, batch 1", cases["decode, batch 1"], cases["weights read"], "reading the weights")
    for name, case in cases.items():
        if name.startswith("tokenize"):
            row(name, rate(case), f"{case['median_megabytes_per_s']} MB/s of text", "")

    load = cases["load"]
    mb = 1e-6
    print(f"\nThe Q4_1 file loads to bf16 in {load['seconds']:.2f} s; stated need {load['weight_bytes'] * mb:.0f} MB, "
          f"highest memory in use {load['peak_bytes'] * mb:.0f} MB, of which {load['base_bytes'] * mb:.0f} MB "
          "were there before the load (libraries).\n")

    parts = SAE_COLUMNS[7:]
    row("TopK step, selection by", "d, F, k, B", "tokens/s", *parts, "limit: the encoder's product", "of the limit")
    row("---", "---", *["--:"] * (1 + len(parts)), "---", "--:")
    for step in topk:
        limit = cases["encoder {d},{F},{k},{B} {step}".format(**step)]
        rate_now = float(step["tokens_per_s"])
        row(step["step"], "{d}, {F}, {k}, {B}".format(**step), f"{rate_now:,.0f}", *(step[name] for name in parts),
            f"{limit['tokens_per_s']:,} tokens/s ({limit['gflop_per_s']:,} GFLOP/s)",
            f"{rate_now / limit['tokens_per_s']:.0%}")

    print("\nEvery architecture at d, F, k, B = {d}, {F}, {k}, {B}; memory is the step's peak, as a multiple of weights "
          "and moments.\n".format(**architectures[0]))
    row("architecture", "selection by", "tokens/s", *parts)
    row("---", "---", *["--:"] * (1 + len(parts)))
    for step in architectures:
        row(step["arch"], step["step"], f"{float(step['tokens_per_s']):,.0f}", *(step[name] for name in parts))

    turns, overlap = cases["grid, in turns"], cases["grid, at the same time"]
    together = turns["model_seconds"] + turns["sae_seconds"]
    print(f"\nA grid of {turns['saes']} SAEs on {turns['budget']:,} tokens of mlp_out at three layers:\n")
    row("model and SAEs", "tokens of the model", "model s", "SAEs s", "wall s", "wall / (model + SAEs in turns)")
    row("---", *["--:"] * 5)
    for name, grid in (("in turns", turns), ("at the same time", overlap)):
        row(name, f"{grid['model_tokens']:,}", grid["model_seconds"], grid["sae_seconds"], grid["wall_seconds"],
            f"{grid['wall_seconds'] / together:.2f}")


main()
