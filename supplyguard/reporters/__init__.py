"""What a report looks like: one module an output, each a pure `render(report) -> str`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from supplyguard.finding import Report
from supplyguard.reporters.options import RenderOptions

__all__ = ["REPORTERS", "RenderOptions", "Reporter"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reporter:
    """One output format.

    name: what `--format` takes. suffix: what `--output` recognises. render: makes the whole
    output, which can always be encoded as UTF-8.
    """

    name: str
    suffix: str
    summary: str
    render: Callable[[Report, RenderOptions], str]


def _text(report: Report, options: RenderOptions) -> str:
    from supplyguard.reporters import text  # noqa: PLC0415 - heavy: only the format that is asked for

    return text.render(
        report,
        color=options.color,
        width=options.width,
        verbose=options.verbose,
        quiet=options.quiet,
        show_suppressed=options.show_suppressed,
    )


def _json(report: Report, _options: RenderOptions) -> str:
    from supplyguard.reporters import json_report  # noqa: PLC0415 - heavy: likewise

    return json_report.render(report)


def _sarif(report: Report, options: RenderOptions) -> str:
    from supplyguard.reporters import sarif  # noqa: PLC0415 - heavy: likewise

    return sarif.render(report, show_suppressed=options.show_suppressed, category=options.category)


def _markdown(report: Report, options: RenderOptions) -> str:
    from supplyguard.reporters import markdown  # noqa: PLC0415 - heavy: likewise

    return markdown.render(report, show_suppressed=options.show_suppressed)


REPORTERS: tuple[Reporter, ...] = (
    Reporter(name="text", suffix=".txt", summary="for people, on a terminal", render=_text),
    Reporter(name="json", suffix=".json", summary="for programs; docs/report.md describes it", render=_json),
    Reporter(name="sarif", suffix=".sarif", summary="SARIF 2.1.0, for code scanning", render=_sarif),
    Reporter(name="markdown", suffix=".md", summary="for GitHub's job summary", render=_markdown),
)
