"""The hand-written backward pass of W x + b + scaling · B A x against finite differences and against autograd."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tunewright.methods._lora_product import LoraProduct


def tensors(dtype: torch.dtype, *, bias: bool = True) -> tuple[torch.Tensor | None, ...]:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 6, dtype=dtype), torch.randn(5, 6, dtype=dtype)
    a, b = torch.randn(2, 6, dtype=dtype), torch.randn(5, 2, dtype=dtype)
    return x.requires_grad_(), weight, torch.randn(5, dtype=dtype) if bias else None, a.requires_grad_(), b.requires_grad_()


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_those_of_finite_differences(bias: bool) -> None:
    assert torch.autograd.gradcheck(lambda *inputs: LoraProduct.apply(*inputs, 0.5), tensors(torch.float64, bias=bias))


@pytest.mark.parametrize("autocast", [False, True])
def test_it_is_the_sum_of_two_products(autocast: bool) -> None:
    found = []
    for ours in (True, False):
        x, weight, bias, a, b = tensors(torch.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            if ours:
                out = LoraProduct.apply(x, weight, bias, a, b, 0.5)
            else:
                out = functional.linear(x, weight, bias) + functional.linear(functional.linear(x, a) * 0.5, b)
        out.float().square().sum().backward()
        assert out.dtype == (torch.bfloat16 if autocast else torch.float32)
        found.append([out.detach().float(), x.grad, a.grad, b.grad])
    for one, other in zip(*found, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0.05 if autocast else 1e-5, atol=1.0 if autocast else 1e-5)


def test_an_input_without_gradient_gets_none() -> None:
    x, weight, bias, a, b = tensors(torch.float32)
    LoraProduct.apply(x.detach(), weight, bias, a, b, 0.5).sum().backward()
    assert x.grad is None
    assert a.grad is not None
