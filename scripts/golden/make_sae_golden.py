"""Makes tests/data/sae/topk_golden.safetensors: a small TopK SAE in PyTorch, its loss, gradients and
ten Adam steps, with autograd as the judge. Run: python scripts/golden/make_sae_golden.py

Everything is computed in f64 and stored as f32; the f32 path under test is compared with derived
tolerances. Made with the package versions in the file's metadata.
"""

import math
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file

D, F, K, B, STEPS, LR = 32, 96, 5, 64, 10, 3e-3
AUX_FEATURES, K_AUX, AUX_COEFFICIENT = [3, 17, 41, 42, 90], 3, 1 / 32
OUT = Path(__file__).resolve().parents[2] / "tests/data/sae/topk_golden.safetensors"


def encode(z, p, k=K, allowed=None):
    pre = (z - p["b_dec"]) @ p["w_enc"].T + p["b_enc"]
    if allowed is not None:
        mask = torch.full_like(pre, -math.inf)
        mask[:, allowed] = 0
        pre = pre + mask
    values, indices = pre.topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, indices, torch.relu(values)), pre


def gap(z, p):
    """The smallest distance between the k-th and (k+1)-th value: a golden file must not sit on a tie."""
    _, pre = encode(z, p)
    top = pre.topk(K + 1, dim=1).values
    return (top[:, K - 1] - top[:, K]).min().item()


def loss_of(z, p, aux=False):
    codes, _ = encode(z, p)
    zhat = codes @ p["w_dec"] + p["b_dec"]
    error = z - zhat
    loss = error.square().sum(1).mean() / D
    if aux:
        aux_codes, _ = encode(z, p, K_AUX, AUX_FEATURES)
        guess = aux_codes @ p["w_dec"]
        loss = loss + AUX_COEFFICIENT * (guess - error.detach()).square().sum(1).mean() / D
    return loss, codes, zhat


def gradients(z, p, aux=False):
    leaves = {name: value.clone().requires_grad_() for name, value in p.items()}
    loss, _, _ = loss_of(z, leaves, aux)
    loss.backward()
    return loss.detach(), {name: leaf.grad for name, leaf in leaves.items()}


def without_parallel(grad, w_dec):
    return grad - (grad * w_dec).sum(1, keepdim=True) * w_dec


def main():
    generator = torch.Generator().manual_seed(7)
    normal = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)
    x = normal(B * STEPS, D) * torch.linspace(0.5, 3, D, dtype=torch.float64) + normal(D)
    x = x.float().double()
    center = x.mean(0).float().double()
    scale = float(torch.tensor(math.sqrt(D / (x - center).square().sum(1).mean().item())).float())
    z_all = ((x - center) * scale).float().double()  # batches are handed over in f32

    w_dec = normal(F, D)
    p = {
        "w_enc": (normal(F, D) / math.sqrt(D)),
        "b_enc": 0.1 * normal(F),
        "w_dec": w_dec / w_dec.norm(dim=1, keepdim=True),
        "b_dec": 0.1 * normal(D),
    }
    p = {name: value.float().double() for name, value in p.items()}
    out = {"x": x, "center": center, "z": z_all}
    out |= {f"initial.{name}": value.clone() for name, value in p.items()}

    z = z_all[:B]
    loss, codes, zhat = loss_of(z, p)
    out["forward.indices"] = codes.topk(K, dim=1).indices.to(torch.int32)
    out["forward.values"] = codes.topk(K, dim=1).values
    out["forward.zhat"] = zhat
    out["forward.xhat"] = zhat / scale + center
    _, grads = gradients(z, p)
    out |= {f"gradient.{name}": value for name, value in grads.items()}
    # What is dead has not fired, in this batch either: their biases keep them silent, yet on some
    # tokens positive.
    silent = p | {"b_enc": p["b_enc"].clone()}
    silent["b_enc"][AUX_FEATURES] -= 2
    silent["b_enc"] = silent["b_enc"].float().double()
    assert not (loss_of(z, silent)[1][:, AUX_FEATURES] > 0).any()
    assert (encode(z, silent, K_AUX, AUX_FEATURES)[0] > 0).sum() > 10
    aux_loss, aux_grads = gradients(z, silent, aux=True)
    out["aux.b_enc"] = silent["b_enc"]
    out["aux.loss"] = aux_loss
    out["aux.features"] = torch.tensor(AUX_FEATURES, dtype=torch.int32)
    out |= {f"aux.gradient.{name}": value for name, value in aux_grads.items()}

    optimiser_state = {name: (torch.zeros_like(v), torch.zeros_like(v)) for name, v in p.items()}
    losses, smallest_gap = [], math.inf
    for step in range(1, STEPS + 1):
        z = z_all[(step - 1) * B : step * B]
        smallest_gap = min(smallest_gap, gap(z, p))
        loss, grads = gradients(z, p)
        losses.append(loss)
        grads["w_dec"] = without_parallel(grads["w_dec"], p["w_dec"])
        leaves = {name: torch.nn.Parameter(value) for name, value in p.items()}
        optimiser = torch.optim.Adam(leaves.values(), lr=LR, betas=(0.9, 0.999), eps=1e-8)
        for name, leaf in leaves.items():
            leaf.grad = grads[name]
            first, second = optimiser_state[name]
            optimiser.state[leaf] = {
                "step": torch.tensor(float(step - 1)), "exp_avg": first, "exp_avg_sq": second,
            }
        optimiser.step()
        p = {name: leaf.detach() for name, leaf in leaves.items()}
        p["w_dec"] = p["w_dec"] / p["w_dec"].norm(dim=1, keepdim=True)
        out |= {f"step{step}.{name}": value.clone() for name, value in p.items()}
    out["losses"] = torch.stack(losses)

    tensors = {
        name: (value if value.dtype == torch.int32 else value.float()).contiguous()
        for name, value in out.items()
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, OUT, {
        "made_by": "scripts/golden/make_sae_golden.py",
        "torch": torch.__version__, "safetensors": safetensors.__version__,
        "k": str(K), "k_aux": str(K_AUX), "auxk_coefficient": repr(AUX_COEFFICIENT),
        "lr": repr(LR), "scale": repr(scale), "smallest_gap": repr(smallest_gap),
    })
    print(f"{OUT}: {OUT.stat().st_size} bytes, smallest gap at the k-th place {smallest_gap:.2e}")


if __name__ == "__main__":
    main()
