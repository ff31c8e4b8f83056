"""Reports of a run that is finished: made from its folder, kept in its scores and shown on its page."""

from __future__ import annotations

from typing import Any

from tunewright.analysis.html_page import write_report
from tunewright.analysis.reporting import chosen, keep_reports, make_reports
from tunewright.config.reader import check_part
from tunewright.config.recipe import DEFAULT_REPORTS, Choice
from tunewright.core.errors import UserError
from tunewright.pipeline.analysis_context import subject_of
from tunewright.pipeline.steps import InMemoryData, prepare_rows
from tunewright.runs.reports import Reports
from tunewright.runs.run import Run


def examine(run: Run, *names: str, **settings: Any) -> Reports:
    """Make reports of a finished run, keep them in its folder and its page, and return them by name.

    Without a name those that every run makes; ``settings`` are those of the one that is named.
    """
    if not run.finished:
        raise UserError(f"the run '{run.folder}' is not finished", try_=f"tunewright resume {run.folder}")
    if settings and len(names) != 1:
        raise UserError("settings belong to one report", expected="one name", try_="tunewright report RUN NAME --set KEY=VALUE")
    choices = [Choice(name=name, settings=dict(settings)) for name in names] or [DEFAULT_REPORTS]
    for choice in choices:
        check_part("reports", "evaluation.reports", choice)
    prepared = prepare_rows(run.recipe, InMemoryData())
    if prepared.data_hash != run.manifest["data_hash"]:
        raise UserError(f"the rows of '{run.folder}' changed since it was trained", expected="the same rows", try_="a new run")
    subject = subject_of(run.model, run.recipe, prepared, run.folder, backbone=run.backbone)
    reports = make_reports(subject, chosen(choices, prepared.labels.task, prepared.schema.kind))
    keep_reports(run.folder, reports)
    write_report(run.folder)
    return Reports(reports)
