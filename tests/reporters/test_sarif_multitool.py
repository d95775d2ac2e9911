"""Microsoft's validator on our logs.

    npm install --no-save @microsoft/sarif-multitool@5.7.0
    chmod u+x node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool

SUPPLYGUARD_SARIF_MULTITOOL names the program where it is not in node_modules of the checkout.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from supplyguard.finding import Report
from supplyguard.reporters import sarif
from tests.reporters.sample_report import report_of, sample_report

DEFAULT = Path(__file__).parents[2] / "node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool"
# read here, because tests run without any SUPPLYGUARD_ variable
PROGRAM = Path(os.environ.get("SUPPLYGUARD_SARIF_MULTITOOL", DEFAULT))

pytestmark = pytest.mark.skipif(
    not PROGRAM.is_file(), reason=f"the SARIF validator is not at {PROGRAM}: see this module's docstring"
)


def complaints(text: str, folder: Path) -> list[tuple[str, str]]:
    """Give (rule, message id) of each error and warning of the validator."""
    log, out = folder / "log.sarif", folder / "out.sarif"
    log.write_text(text, encoding="utf-8")
    command = [
        str(PROGRAM),
        "validate",
        str(log),
        "--rule-kind",
        "Sarif;Ghas",
        "--level",
        "Error;Warning;Note",
    ]
    subprocess.run(
        [*command, "-o", str(out), "--log", "ForceOverwrite"],
        cwd=PROGRAM.parent,
        check=True,
        capture_output=True,
    )
    # the exit code is 0 whatever was found
    (run,) = json.loads(out.read_text(encoding="utf-8-sig"))["runs"]
    assert run["invocations"][0]["executionSuccessful"] is True
    return [
        (result["ruleId"], result["message"]["id"])
        for result in run["results"]
        if result.get("level", "warning") != "note"
    ]


@pytest.mark.parametrize(
    ("report", "profile"),
    [(sample_report(), "github"), (sample_report(), "strict"), (report_of(), "github")],
    ids=["sample", "strict", "empty"],
)
def test_the_validator_has_nothing_to_say(report: Report, profile: sarif.Profile, tmp_path: Path) -> None:
    assert (
        complaints(sarif.render(report, profile=profile, show_suppressed=True, category="c"), tmp_path) == []
    )


def test_the_validator_does_find_faults(tmp_path: Path) -> None:
    broken = sarif.render(sample_report()).replace('"ruleIndex": 0', '"ruleIndex": 99')
    assert complaints(broken, tmp_path)
