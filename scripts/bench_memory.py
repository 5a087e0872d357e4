#!/usr/bin/env python3
"""What commands say that they will hold in memory, beside the most that they held, as a Markdown table.

    scripts/bench_memory.py PROGRAM MODEL CORPUS
"""
import os
import re
import subprocess
import sys
import tempfile

MIB = {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}


def run(arguments):
    """Peak resident size, and the highest of the needs stated, both in MiB."""
    child = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(arguments)} failed:\n{said[-2000:]}")
    stated = [float(n) * MIB[unit] for n, unit in re.findall(r"memory: ([\d.]+) ([KMG]iB) in all", said)]
    return usage.ru_maxrss / 1024, max(stated)


def main():
    program, model, corpus = sys.argv[1:]
    on_corpus = ["--model", model, "--corpus", corpus]
    print("| command | stated first, MiB | most held, MiB | held / stated |\n| --- | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as folder:
        trained = f"{folder}/run"
        for command in (
            ["train", *on_corpus, "--sites", "mlp_out.7,mlp_out.15", "--arch", "topk,jumprelu", "-k", "16,64",
             "--tokens", "60000", "--out", trained],
            ["evaluate", *on_corpus, "--run", trained, "--tokens", "20000", "--loss-tokens", "4000"],
            ["select", "--model", model, "--run", trained],
            ["exemplars", *on_corpus, "--run", trained, "--tokens", "60000"],
            ["harvest", *on_corpus, "--sites", "mlp_out.7,mlp_out.15", "--tokens", "60000", "--out", f"{folder}/acts"],
        ):
            held, stated = run([program, *command])
            print(f"| {command[0]} | {stated:,.0f} | {held:,.0f} | {held / stated:.2f} |", flush=True)


if __name__ == "__main__":
    main()
