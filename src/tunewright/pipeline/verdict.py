"""What a run says where training did not beat the start that costs nothing, by the validation loss."""

from __future__ import annotations

from tunewright.training.context import TrainingContext, TrainingResult

_SHORT = {"frozen probe": "probe"}

# Kept features round otherwise than whole passes: so much more is no difference, as a share of the loss (a guess).
_ROUNDING = 1e-4


def verdict(job: TrainingContext, trained: TrainingResult, probe_loss: float | None) -> str | None:
    """A sentence where the run's start was kept, or where a strategy that was named did worse than its frozen probe.

    ``probe_loss``: the frozen baseline's on the validation rows, where it was measured.
    """
    if trained.start_loss is not None and trained.best_step == 0:
        losses = f"loss {trained.lowest_loss:.4g} vs {trained.start_loss:.4g}"
        saved = _SHORT.get(str(job.start), job.start)
        return f"fine-tuning did not beat the {job.start} on validation ({losses}): the {saved} is what is saved"
    if probe_loss is None or trained.loss <= probe_loss * (1 + _ROUNDING):
        return None
    return (
        f"fine-tuning did not beat the frozen probe on validation (loss {trained.loss:.4g} vs {probe_loss:.4g}): "
        "the fine-tuned model is what is saved, because what trains was named"
    )
