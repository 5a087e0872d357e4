"""Makes tests/data/sae/architectures_golden.safetensors: for every architecture a small SAE in
PyTorch, its loss, every gradient and ten Adam steps, with autograd as the judge (straight-through
estimators as autograd functions of their own). Run: python scripts/golden/make_architectures_golden.py

Everything is computed in f64 and stored as f32. Made with the package versions in the metadata.
"""

import math
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file

D, F, K, B, STEPS, LR = 16, 48, 4, 64, 10, 3e-3
PENALTY, BANDWIDTH, GROUPS = 0.02, 0.4, [6, 16, 48]
D_OUT = 11  # of the transcoder
OUT = Path(__file__).resolve().parents[2] / "tests/data/sae/architectures_golden.safetensors"


class JumpRelu(torch.autograd.Function):
    """Rajamanoharan et al. 2024b, equation 11: pre where it exceeds the threshold."""

    @staticmethod
    def forward(ctx, pre, threshold):
        ctx.save_for_backward(pre, threshold)
        return pre * (pre > threshold)

    @staticmethod
    def backward(ctx, grad):
        pre, threshold = ctx.saved_tensors
        near = ((pre - threshold).abs() < BANDWIDTH / 2).double()
        by_threshold = -(threshold / BANDWIDTH) * near * grad
        return grad * (pre > threshold), by_threshold.sum(0)


class Step(torch.autograd.Function):
    """Equation 12: the Heaviside step, whose pseudo-derivative reaches the threshold alone."""

    @staticmethod
    def forward(ctx, pre, threshold):
        ctx.save_for_backward(pre, threshold)
        return (pre > threshold).double()

    @staticmethod
    def backward(ctx, grad):
        pre, threshold = ctx.saved_tensors
        near = ((pre - threshold).abs() < BANDWIDTH / 2).double()
        return torch.zeros_like(pre), (-(1 / BANDWIDTH) * near * grad).sum(0)


def batch_topk(pre, k):
    values, indices = pre.flatten().topk(k * pre.shape[0])
    return torch.zeros_like(pre).flatten().scatter(0, indices, torch.relu(values)).view_as(pre)


def squares(error):
    return error.square().sum(1).mean() / error.shape[1]


def loss_of(name, p, z, target):
    """Loss and codes."""
    transcoder = name == "transcoder"
    pre = (z if transcoder else z - p["b_dec"]) @ p["w_enc"].T + p["b_enc"]
    if name in ("topk", "transcoder"):
        values, indices = pre.topk(K, dim=1)
        codes = torch.zeros_like(pre).scatter(1, indices, torch.relu(values))
        zhat = codes @ p["w_dec"] + p["b_dec"]
        if transcoder:
            zhat = zhat + z @ p["w_skip"].T
        return squares(zhat - target), codes
    if name == "batchtopk":
        codes = batch_topk(pre, K)
        return squares(codes @ p["w_dec"] + p["b_dec"] - target), codes
    if name == "matryoshka":
        codes = batch_topk(pre, K)
        losses = [squares(codes[:, :g] @ p["w_dec"][:g] + p["b_dec"] - target) for g in GROUPS]
        return sum(losses) / len(losses), codes
    if name == "relu":
        codes = torch.relu(pre)
        return squares(codes @ p["w_dec"] + p["b_dec"] - target) + PENALTY * codes.sum(1).mean(), codes
    if name == "jumprelu":
        codes = JumpRelu.apply(pre, p["threshold"])
        l0 = Step.apply(pre, p["threshold"]).sum(1).mean()
        return squares(codes @ p["w_dec"] + p["b_dec"] - target) + PENALTY * (l0 / K - 1) ** 2, codes
    if name == "gated":
        gate = torch.relu(pre)
        magnitude = torch.relu(torch.exp(p["r_mag"]) * pre + p["b_mag"])
        # The published parametrisation: the magnitude's bias counted from <z - b_dec, W_enc>.
        published_bias = p["b_mag"] + torch.exp(p["r_mag"]) * p["b_enc"]
        dots = (z - p["b_dec"]) @ p["w_enc"].T
        published = torch.relu(torch.exp(p["r_mag"]) * dots + published_bias)
        assert torch.allclose(magnitude, published, atol=1e-12)
        codes = (pre > 0) * magnitude
        via_gate = gate @ p["w_dec"].detach() + p["b_dec"].detach()
        loss = squares(codes @ p["w_dec"] + p["b_dec"] - target)
        return loss + squares(via_gate - target) + PENALTY * gate.sum(1).mean(), codes
    raise KeyError(name)


def gradients(name, p, z, target):
    leaves = {key: value.clone().requires_grad_() for key, value in p.items()}
    loss, codes = loss_of(name, leaves, z, target)
    loss.backward()
    return loss.detach(), {key: leaf.grad for key, leaf in leaves.items()}, codes.detach()


def main():
    generator = torch.Generator().manual_seed(11)
    normal = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)
    f32 = lambda value: value.float().double()  # what is handed over in f32
    z_all, target_all = f32(normal(B * STEPS, D)), f32(normal(B * STEPS, D_OUT))
    out = {"z": z_all, "target": target_all}
    for name in ("topk", "batchtopk", "matryoshka", "relu", "jumprelu", "gated", "transcoder"):
        d_out = D_OUT if name == "transcoder" else D
        w_dec = normal(F, d_out)
        p = {
            "w_enc": normal(F, D) / math.sqrt(D),
            "b_enc": 0.1 * normal(F),
            "w_dec": w_dec / w_dec.norm(dim=1, keepdim=True),
            "b_dec": 0.1 * normal(d_out),
        }
        if name == "jumprelu":
            p["threshold"] = 0.5 + 0.5 * normal(F).abs()
        if name == "gated":
            p["r_mag"], p["b_mag"] = 0.2 * normal(F), 0.1 * normal(F)
        if name == "transcoder":
            p["w_skip"] = 0.1 * normal(d_out, D)
        p = {key: f32(value) for key, value in p.items()}
        out |= {f"{name}.initial.{key}": value.clone() for key, value in p.items()}
        parameters = {key: torch.nn.Parameter(value.clone()) for key, value in p.items()}
        # Thresholds live in units of pre-activations and move sqrt(d) times as fast as weights.
        groups = [
            {"params": [parameter], "lr": LR * math.sqrt(D) if key == "threshold" else LR}
            for key, parameter in parameters.items()
        ]
        optimiser = torch.optim.Adam(groups, betas=(0.9, 0.999), eps=1e-8)
        losses, lowest = [], 0.0
        for step in range(STEPS):
            z = z_all[step * B : (step + 1) * B]
            target = target_all[step * B : (step + 1) * B] if name == "transcoder" else z
            values = {key: parameter.detach() for key, parameter in parameters.items()}
            loss, grads, codes = gradients(name, values, z, target)
            losses.append(loss)
            if step == 0:
                out |= {f"{name}.gradient.{key}": grad.clone() for key, grad in grads.items()}
            # A plain mean over the first twenty batches of the lowest value that one kept.
            lowest += (codes[codes > 0].min().item() - lowest) / (step + 1)
            w_dec = values["w_dec"]
            grads["w_dec"] = grads["w_dec"] - (grads["w_dec"] * w_dec).sum(1, keepdim=True) * w_dec
            for key, parameter in parameters.items():
                parameter.grad = grads[key]
            optimiser.step()
            with torch.no_grad():
                w_dec = parameters["w_dec"]
                w_dec.div_(w_dec.norm(dim=1, keepdim=True))
                if name == "jumprelu":
                    parameters["threshold"].clamp_(min=0)
        out |= {f"{name}.final.{key}": value.detach() for key, value in parameters.items()}
        out[f"{name}.losses"] = torch.stack(losses)
        out[f"{name}.running_threshold"] = torch.tensor([lowest])
    OUT.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.float().contiguous() for key, value in out.items()}, OUT, {
        "made_by": "scripts/golden/make_architectures_golden.py",
        "torch": torch.__version__, "safetensors": safetensors.__version__,
        "k": str(K), "lr": repr(LR), "penalty": repr(PENALTY), "bandwidth": repr(BANDWIDTH),
    })
    print(f"{OUT}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
