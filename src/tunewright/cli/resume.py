"""tunewright resume: continue an interrupted run."""

from __future__ import annotations

from tunewright.cli._options import Json, RunFolder
from tunewright.cli._results import show_run, telling_how_to_resume
from tunewright.core.distributed import leads


def run(folder: RunFolder, as_json: Json = False) -> None:
    """Continue an interrupted run, as if it had never stopped."""
    from tunewright.callbacks.progress import progress
    from tunewright.pipeline.workflow import resume

    with telling_how_to_resume(folder), progress() as watch:
        resumed = resume(folder, callbacks=[watch])
    if leads():
        show_run(resumed, as_json=as_json)
