"""Held-out FVU of TopK SAEs trained on the same activations by us, sparsify and dictionary_learning:
same tokens, width, k, batch, learning rate and schedule, three seeds. Prints a Markdown table.

    fvu.py OUR_PROGRAM ACTIVATIONS_DIR KEY WORK_DIR [SEEDS] [LEARNING_RATE]

The peers get activations scaled to E|x|^2 = d, which none of them does by itself; FVU does not change by
that. Each initialises its decoder bias from the data as its own trainer does. The last 5 % of the rows
are held out from all.
"""
import json
import math
import pathlib
import shutil
import statistics
import subprocess
import sys

import torch
from safetensors.torch import load_file

EXPANSION, K, BATCH, WARMUP, DECAY, HELD_OUT = 8, 32, 1024, 0.05, 0.3, 0.05
LR = float(sys.argv[6]) if len(sys.argv) > 6 else 1e-3


def read(folder, key):
    return torch.cat([load_file(path)[key].float() for path in sorted(pathlib.Path(folder).glob("*.safetensors"))])


def fvu(reconstruct, x):
    with torch.no_grad():
        error = sum((reconstruct(rows) - rows).square().sum().item() for rows in x.split(4096))
    return error / (x - x.mean(0)).square().sum().item()


def sparsify(x, held_out, n_features, seed):
    from sparsify import SparseCoder, SparseCoderConfig

    torch.manual_seed(seed)
    sae = SparseCoder(x.shape[1], SparseCoderConfig(num_latents=n_features, k=K))
    sae.b_dec.data = x[: 8 * BATCH].mean(0)  # its Trainer: the mean of the first batch
    optimizer = torch.optim.Adam(sae.parameters(), lr=LR)
    steps = len(x) // BATCH
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_share(step / steps))
    for rows in x[torch.randperm(len(x))][: steps * BATCH].split(BATCH):
        sae.set_decoder_norm_to_unit_norm()
        out = sae(x=rows, y=rows, dead_mask=None, total_variance=(rows - rows.mean(0)).pow(2).sum())
        out.fvu.backward()
        sae.remove_gradient_parallel_to_decoder_directions()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
    return fvu(lambda rows: sae(rows).sae_out, held_out)


def dictionary_learning(x, held_out, n_features, seed):
    from dictionary_learning.trainers.top_k import TopKTrainer

    steps = len(x) // BATCH
    trainer = TopKTrainer(
        steps=steps, activation_dim=x.shape[1], dict_size=n_features, k=K, layer=0, lm_name="none", device="cpu",
        lr=LR, warmup_steps=max(1, round(WARMUP * steps)), decay_start=round((1 - DECAY) * steps), seed=seed,
    )
    for step, rows in enumerate(x[torch.randperm(len(x))][: steps * BATCH].split(BATCH)):
        trainer.update(step, rows)
    return fvu(trainer.ae, held_out)


def lr_share(share):
    return max(0.0, min(1.0, share / WARMUP if WARMUP else 1.0, (1 - share) / DECAY))


def ours(program, folder, key, n_train, seed, work):
    run = work / f"seed{seed}"
    shutil.rmtree(run, ignore_errors=True)
    subprocess.run(
        [program, "-q", "train", "--activations", folder, "--key", key, "--k", str(K), "--expansion", str(EXPANSION),
         "--batch", str(BATCH), "--lr", str(LR), "--tokens", str(n_train), "--seed", str(seed), "--out", str(run)],
        check=True, stdout=subprocess.DEVNULL,
    )
    return json.loads((run / "evaluation.jsonl").read_text().splitlines()[0])["fvu"]


def main():
    program, folder, key, work = sys.argv[1:5]
    n_seeds = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    x = read(folder, key)
    n_train = math.ceil(len(x) * (1 - HELD_OUT))
    scale = math.sqrt(x.shape[1] / x[:n_train].square().sum(1).mean().item())
    train, held_out = x[:n_train] * scale, x[n_train:] * scale
    n_features = EXPANSION * x.shape[1]
    makers = {
        "Safesail": lambda seed: number(ours(program, folder, key, n_train, seed, pathlib.Path(work))),
        "sparsify": lambda seed: sparsify(train, held_out, n_features, seed),
        "dictionary_learning": lambda seed: dictionary_learning(train, held_out, n_features, seed),
    }
    print(f"\n{n_train:,} tokens once, d {x.shape[1]}, F {n_features}, k {K}, B {BATCH}, learning rate {LR}\n")
    print("| held-out FVU | mean | " + " | ".join(f"seed {seed}" for seed in range(n_seeds)) + " |")
    print("| --- | --: |" + " --: |" * n_seeds, flush=True)
    for name, make in makers.items():
        values = [make(seed) for seed in range(n_seeds)]
        cells = " | ".join(f"{value:.4f}" for value in values)
        print(f"| {name} | {statistics.mean(values):.4f} | {cells} |", flush=True)


def number(value):
    """Estimates carry their interval."""
    return value["value"] if isinstance(value, dict) else value


main()
