"""Normalizing layers, by type: torch's own, and the root-mean-square norms that models write themselves."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _NormBase


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalizes: one of torch's norms, or a leaf of one or two vectors and an epsilon (LlamaRMSNorm)."""
    if isinstance(module, (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, _NormBase)):
        return True
    own = list(module.parameters())
    vectors = len(own) in (1, 2) and all(parameter.ndim == 1 for parameter in own)
    leaf = next(module.children(), None) is None
    return leaf and vectors and any(hasattr(module, name) for name in ("eps", "variance_epsilon", "epsilon"))
