"""The report for a person at a terminal: by file, the worst first, then what is not known."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from supplyguard.finding import Audit, AuditStatus, Finding, Notification, Report, Rule, Severity, Verdict
from supplyguard.reporters.escape import NAME_CHARS, defuse_commands, for_terminal
from supplyguard.reporters.wording import (
    first_sentence,
    place_in_file,
    severities,
    summary_lines,
    verdict_sentence,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

SHOWN_PLACES: Final = 5
"""How many findings of one rule in one file are shown; the rest are counted."""

SHOWN_NOTES: Final = 8
"""How many notifications of one kind, or dependencies not audited, are shown without `verbose`."""

_MIN_WIDTH: Final = 20
_NARROW: Final = 60
_SEVERITY_STYLES: Final = {
    Severity.CRITICAL: "bold white on red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "bold yellow",
    Severity.LOW: "bold blue",
    Severity.INFO: "bold",
}
_VERDICT_STYLES: Final = {
    Verdict.PASS: "bold green",
    Verdict.FAIL: "bold red",
    Verdict.INCOMPLETE: "bold yellow",
}


def render(
    report: Report,
    *,
    color: bool = False,
    width: int = 100,
    verbose: bool = False,
    quiet: bool = False,
    show_suppressed: bool = False,
) -> str:
    """Write the report as lines of at most `width` columns.

    verbose: show every place, notification and dependency. quiet: findings only, and nothing at
    all when the verdict is a pass; a verdict of incomplete is still said in one line.
    """
    if quiet and report.verdict is Verdict.PASS:
        return ""
    from rich.console import Console  # noqa: PLC0415 - heavy: rich

    stream = io.StringIO()
    console = Console(
        file=stream,
        width=max(width, _MIN_WIDTH),
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )
    page = _Page(console)
    _write_findings(page, report.findings, verbose=verbose)
    if not quiet:
        if show_suppressed:
            _write_suppressed(page, report.suppressed)
        _write_not_audited(page, report.audits, verbose=verbose)
        _write_notifications(page, report.notifications, verbose=verbose)
        _write_summary(page, report)
    if not quiet or report.verdict is Verdict.INCOMPLETE:
        page.line(verdict_sentence(report), style=_VERDICT_STYLES[report.verdict])
    page.print()
    written = "\n".join(line.rstrip() for line in stream.getvalue().split("\n"))
    return defuse_commands(written)


class _Page:
    """Lines for a console, wrapped as they come; nothing that is written here is markup."""

    def __init__(self, console: Console) -> None:
        from rich.text import Text  # noqa: PLC0415 - heavy: rich

        self._console = console
        self._text = Text
        self._lines: list[Text] = []
        self.narrow = console.width < _NARROW

    def space(self) -> None:
        """Write an empty line."""
        self._lines.append(self._text())

    def line(self, text: str, *, style: str = "", indent: int = 0) -> None:
        """Write a paragraph, all of it `indent` columns from the left."""
        self.styled([(text, style)], indent=indent)

    def labelled(self, label: str, text: str, *, indent: int, gap: int, style: str) -> None:
        """Write `label`, and `text` `gap` columns to the right of where it begins."""
        width = gap if not self.narrow else len(label) + 1
        self.styled([(label.ljust(width), style), (text, "")], indent=indent, hang=0 if self.narrow else gap)

    def styled(self, parts: Iterable[tuple[str, str]], *, indent: int = 0, hang: int = 0) -> None:
        """Write a paragraph of (text, style) parts; its later lines begin `hang` columns further in."""
        text = self._text.assemble(*parts)
        room = self._console.width - indent - hang
        if text.cell_len <= room + hang:
            self._add(text, indent)
            return
        first = text[:hang]
        for number, line in enumerate(text[hang:].wrap(self._console, room, overflow="fold")):
            if number == 0 and hang:
                self._add(first.append_text(line), indent)
            else:
                self._add(line, indent + hang)

    def print(self) -> None:
        """Send everything to the console."""
        if self._lines:
            self._console.print(self._text("\n").join(self._lines), soft_wrap=True)

    def _add(self, line: Text, indent: int) -> None:
        line.pad_left(indent)
        self._lines.append(line)


def _write_findings(page: _Page, findings: Sequence[Finding], *, verbose: bool) -> None:
    for uri, in_file in _by_file(findings):
        tally = ", ".join(f"{number:,} {severity.label}" for severity, number in severities(in_file))
        page.styled([(for_terminal(uri, NAME_CHARS), "bold underline"), (f"  {tally}", "dim")])
        for rule, group in _by_rule(in_file):
            _write_group(page, rule, group, verbose=verbose)
        page.space()


def _write_group(page: _Page, rule: Rule, group: Sequence[Finding], *, verbose: bool) -> None:
    """Write the findings of one rule in one file, then why it matters and what to do, once."""
    word = rule.severity.label.upper()
    gap = " " if page.narrow else " " * (10 - len(word))
    heading = [(word, _SEVERITY_STYLES[rule.severity]), (gap, ""), (for_terminal(rule.id), "bold")]
    page.styled(heading, indent=2)
    indent = 4 if page.narrow else 12
    shown = group if verbose else group[:SHOWN_PLACES]
    for finding in shown:
        place = for_terminal(place_in_file(finding.location), NAME_CHARS)
        parts = [(f"{place}  ", "cyan")] if place else []
        page.styled([*parts, (for_terminal(finding.message), "")], indent=indent)
        for related in finding.related:
            page.line(f"see {for_terminal(str(related), NAME_CHARS)}", style="dim", indent=indent + 2)
    if len(group) > len(shown):
        page.line(f"and {len(group) - len(shown):,} more", style="dim", indent=indent)
    page.labelled("Why", for_terminal(first_sentence(rule.help.why)), indent=indent, gap=5, style="dim")
    page.labelled("Fix", for_terminal(first_sentence(rule.help.fix)), indent=indent, gap=5, style="green")


def _write_suppressed(page: _Page, suppressed: Sequence[Finding]) -> None:
    if not suppressed:
        return
    page.line(f"Suppressed ({len(suppressed):,})", style="bold")
    for finding in suppressed:
        reason = finding.suppression.reason if finding.suppression else ""
        where = for_terminal(str(finding.location), NAME_CHARS)
        page.styled([(f"{where}  ", "cyan"), (f"{finding.rule.id}: {for_terminal(reason)}", "")], indent=2)
    page.space()


def _write_not_audited(page: _Page, audits: Sequence[Audit], *, verbose: bool) -> None:
    """List the dependencies that nothing is known of, together where the reason is the same."""
    unknown = [audit for audit in audits if audit.status is AuditStatus.NOT_AUDITED]
    if not unknown:
        return
    page.line(f"Dependencies not audited ({len(unknown):,})", style="bold")
    reasons: dict[str, list[Audit]] = {}
    for audit in unknown:
        reasons.setdefault(audit.reason, []).append(audit)
    for reason, alike in reasons.items():
        shown = alike if verbose else alike[:SHOWN_NOTES]
        names = [
            for_terminal(f"{audit.dependency.raw_name} ({audit.dependency.location})", NAME_CHARS)
            for audit in shown
        ]
        if len(alike) > len(shown):
            names.append(f"and {len(alike) - len(shown):,} more")
        page.styled(
            [(f"{for_terminal(reason) or 'no reason given'}: ", "yellow"), (", ".join(names), "")], indent=2
        )
    page.space()


def _write_notifications(page: _Page, notifications: Sequence[Notification], *, verbose: bool) -> None:
    for title, incomplete in (("Not examined", True), ("Notes", False)):
        chosen = [entry for entry in notifications if entry.incomplete is incomplete]
        if not chosen:
            continue
        page.line(f"{title} ({len(chosen):,})", style="bold")
        for code in dict.fromkeys(entry.code for entry in chosen):
            alike = [entry for entry in chosen if entry.code == code]
            shown = alike if verbose else alike[:SHOWN_NOTES]
            for entry in shown:
                where = for_terminal(str(entry.location), NAME_CHARS) if entry.location else ""
                parts = [(f"{where}  ", "cyan")] if where else []
                page.styled([*parts, (for_terminal(entry.message), ""), (f"  [{code}]", "dim")], indent=2)
            if len(alike) > len(shown):
                more = f"and {len(alike) - len(shown):,} more  [{code}]; -v lists them all"
                page.line(more, style="dim", indent=2)
        page.space()


def _write_summary(page: _Page, report: Report) -> None:
    page.line("Summary", style="bold")
    for label, text in summary_lines(report):
        page.labelled(label, for_terminal(text), indent=2, gap=15, style="dim")
    targets = ", ".join(for_terminal(target, NAME_CHARS) for target in report.targets)
    how = "offline" if report.offline else "online"
    page.labelled(
        "Run",
        f"supplyguard {report.tool_version} on {targets}, {report.started:%Y-%m-%d %H:%M %Z}, "
        f"{report.seconds:.1f} s, {how}",
        indent=2,
        gap=15,
        style="dim",
    )
    page.space()


def _by_file(findings: Sequence[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    """Give each file's findings, files with the worst finding first, then by name."""
    files: dict[str, list[Finding]] = {}
    for finding in findings:
        files.setdefault(finding.location.uri, []).append(finding)
    yield from sorted(files.items(), key=lambda item: (-max(each.severity for each in item[1]), item[0]))


def _by_rule(findings: Sequence[Finding]) -> Iterator[tuple[Rule, list[Finding]]]:
    """Give each rule's findings: what attackers use, then the worst rule first, then by EPSS."""
    rules: dict[str, list[Finding]] = {}
    for finding in findings:
        rules.setdefault(finding.rule.id, []).append(finding)
    for group in sorted(rules.values(), key=lambda group: min(map(_urgency, group))):
        yield group[0].rule, sorted(group, key=_urgency)


def _urgency(finding: Finding) -> tuple[bool, int, float]:
    """Order findings: known to be used by attackers, severity, probability of being used."""
    epss = finding.facts.get("epss")
    likely = epss if isinstance(epss, float) else 0.0
    return finding.facts.get("kev") is not True, -finding.severity, -likely
