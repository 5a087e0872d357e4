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
        elif len(line.split()) == len(SAE_COLUMNS) and line.split()[1] in ("bf16", "f32"):
            steps.append(dict(zip(SAE_COLUMNS, line.split())))
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
    cases, steps = read(sys.argv[1])
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

    row("SAE step, selection by", "d, F, k, B", "tokens/s", "ms", "best ms", *SAE_COLUMNS[7:],
        "limit: the encoder's product", "of the limit")
    row("---", "---", *["--:"] * 9, "---", "--:")
    for step in steps:
        limit = cases["encoder {d},{F},{k},{B} {step}".format(**step)]
        rate_now = float(step["tokens_per_s"])
        row(step["step"], "{d}, {F}, {k}, {B}".format(**step), f"{rate_now:,.0f}", step["ms"], step["best_ms"],
            *(step[name] for name in SAE_COLUMNS[7:]),
            f"{limit['tokens_per_s']:,} tokens/s ({limit['gflop_per_s']:,} GFLOP/s)",
            f"{rate_now / limit['tokens_per_s']:.0%}")


main()
