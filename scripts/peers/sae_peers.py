"""One training step of an SAE by each peer that has the architecture, as its own trainer makes it, with
Adam in f32.

    sae_peers.py sparsify|saelens|saelens-bf16|dictionary_learning

`-bf16` is SAELens's `autocast` option; the other two offer autocast on GPUs only.
"""
import importlib
import sys

import torch
from worker import seconds_of, serve

STEPS = 1_000_000  # of the schedules, which never get that far


def sparsify_step(architecture, d, n_features, k, batch):
    assert architecture == "topk"
    # The body of sparsify.Trainer.fit for one hook and loss_fn="fvu".
    from sparsify import SparseCoder, SparseCoderConfig
    from transformers import get_linear_schedule_with_warmup

    sae = SparseCoder(d, SparseCoderConfig(num_latents=n_features, k=k))
    optimizer = torch.optim.Adam(sae.parameters(), lr=2e-4 / (n_features / 2**14) ** 0.5)
    scheduler = get_linear_schedule_with_warmup(optimizer, 1000, STEPS)
    did_fire = torch.zeros(n_features, dtype=torch.bool)
    since_fired = torch.zeros(n_features, dtype=torch.long)

    def step(x):
        sae.set_decoder_norm_to_unit_norm()
        out = sae(x=x, y=x, dead_mask=None, total_variance=(x - x.mean(0)).pow(2).sum())
        did_fire[out.latent_indices.flatten()] = True
        out.fvu.backward()
        sae.remove_gradient_parallel_to_decoder_directions()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        since_fired.add_(len(x))
        since_fired[did_fire] = 0
        did_fire.zero_()

    return step


def saelens_step(architecture, d, n_features, k, batch, autocast=False):
    import sae_lens
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    name, extra = {
        "topk": ("TopK", {"k": k}),
        "batchtopk": ("BatchTopK", {"k": k}),
        "matryoshka": ("MatryoshkaBatchTopK", {"k": k, "matryoshka_widths": nested(n_features)}),
        "jumprelu": ("JumpReLU", {}),
        "relu": ("Standard", {}),
        "gated": ("Gated", {}),
    }[architecture]
    config = getattr(sae_lens, f"{name}TrainingSAEConfig")(d_in=d, d_sae=n_features, **extra)
    sae = getattr(sae_lens, f"{name}TrainingSAE")(config)
    trainer_config = SAETrainerConfig(
        total_training_samples=STEPS * batch, train_batch_size_samples=batch, lr_end=3e-5, autocast=autocast
    )
    return SAETrainer(trainer_config, sae, iter(())).step


def nested(n_features):
    """The widths of our default, so that both do the same work."""
    return [n_features // divisor for divisor in (16, 8, 4, 2, 1)]


def dictionary_learning_step(architecture, d, n_features, k, batch):
    import dictionary_learning.trainers as trainers

    ends = [0, *nested(n_features)]
    fractions = [(end - start) / n_features for start, end in zip(ends, ends[1:])]
    name, extra = {
        "topk": ("top_k.TopKTrainer", {"k": k}),
        "batchtopk": ("batch_top_k.BatchTopKTrainer", {"k": k}),
        "matryoshka": ("matryoshka_batch_top_k.MatryoshkaBatchTopKTrainer",
                       {"k": k, "group_fractions": fractions}),
        "jumprelu": ("jumprelu.JumpReluTrainer", {"target_l0": float(k)}),
        "relu": ("standard.StandardTrainer", {}),
        "gated": ("gdm.GatedSAETrainer", {}),
    }[architecture]
    module, cls = name.split(".")
    trainer = getattr(importlib.import_module(f"{trainers.__name__}.{module}"), cls)(
        steps=STEPS, activation_dim=d, dict_size=n_features, layer=0, lm_name="none", device="cpu", **extra
    )
    return lambda x: trainer.update(1, x)


MAKERS = {
    "sparsify": sparsify_step,
    "saelens": saelens_step,
    "saelens-bf16": lambda *shape: saelens_step(*shape, autocast=True),
    "dictionary_learning": dictionary_learning_step,
}
make = MAKERS[sys.argv[1]]
current = None  # (shape, its step, its tokens)


def run(verb, architecture, d, n_features, k, batch, *_):
    global current
    shape = architecture, int(d), int(n_features), int(k), int(batch)
    if current is None or current[0] != shape:
        current = None  # the old one's memory first
        current = shape, make(*shape), torch.randn(shape[4], shape[1])
    _, step, tokens = current
    return seconds_of(lambda: step(tokens))


serve(run)
