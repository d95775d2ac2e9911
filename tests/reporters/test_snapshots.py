"""The outputs, whole. SUPPLYGUARD_UPDATE_SNAPSHOTS=1 rewrites what they are compared with."""

import os
from pathlib import Path

import pytest

from supplyguard.reporters import REPORTERS, RenderOptions, sarif, text
from tests.reporters.sample_report import report_of, sample_report

# read here, because tests run without any SUPPLYGUARD_ variable
UPDATE = os.environ.get("SUPPLYGUARD_UPDATE_SNAPSHOTS") == "1"
SNAPSHOTS = Path(__file__).parents[1] / "snapshots"

OUTPUTS = {
    **{
        f"report{reporter.suffix}": reporter.render(sample_report(), RenderOptions(show_suppressed=True))
        for reporter in REPORTERS
    },
    "report.narrow.txt": text.render(sample_report(), width=40),
    "report.color.txt": text.render(sample_report(), color=True),
    "report.quiet.txt": text.render(sample_report(), quiet=True),
    "report.verbose.txt": text.render(sample_report(), verbose=True),
    "report.strict.sarif": sarif.render(sample_report(), profile="strict", category="nightly"),
    **{f"empty{reporter.suffix}": reporter.render(report_of(), RenderOptions()) for reporter in REPORTERS},
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_output_is_the_snapshot(name: str) -> None:
    path = SNAPSHOTS / name
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(OUTPUTS[name], encoding="utf-8", newline="\n")
    assert OUTPUTS[name] == path.read_text(encoding="utf-8")
