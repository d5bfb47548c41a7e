"""Pages of the reference, made from the code when the site is built."""

from __future__ import annotations

from command_reference import commands_page
from field_tables import code, prose, table
from ptychosuite.metrics.metric import known_metrics
from ptychosuite.study.meanings import summary
from python_reference import python_page
from study_reference import noun_pages, study_page


def reference_pages() -> dict[str, str]:
    """Place on the site -> Markdown."""
    return {
        "reference/study-file.md": study_page(),
        **{f"reference/{group}.md": page for group, page in noun_pages().items()},
        "reference/metrics.md": metrics_page(),
        "reference/commands.md": commands_page(),
        "reference/python.md": python_page(),
    }


def metrics_page() -> str:
    """All metrics, in the order in which tables have them."""
    rows = [
        (
            code(metric.name),
            metric.better,
            metric.unit,
            metric.needs,
            "yes" if metric.always else "",
            prose(summary(type(metric))),
        )
        for metric in known_metrics()
    ]
    return f"""# Metrics

What is measured of runs, under the names of the columns of their results. Where a metric needs the truth, or
two half scans, runs without have none. Those that are not always computed are asked for in the
[study file](study-file.md): `metrics: [psnr_phase]`. What they are defined on is in
[Conventions](../conventions.md); one of your own is [a class](../plug-ins.md#a-metric).

{table(("metric", "better", "unit", "needs", "always", "meaning"), rows)}
"""
