"""Reports built by hand: what reporters are tested with."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from supplyguard.finding import (
    AdvisoryData,
    Audit,
    AuditStatus,
    Confidence,
    Counts,
    Fact,
    Finding,
    Help,
    Level,
    Notification,
    Report,
    Rule,
    Severity,
    Suppression,
    SuppressionKind,
    Verdict,
)
from supplyguard.fingerprint import Fingerprints, line_hashes
from supplyguard.inventory import Artifact, Dependency, DependencyKind, Location, ModelRef, RevisionKind

STARTED = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
HUB_FILE = f"hf://acme/sentiment@{'0123456789' * 4}/pytorch_model.bin"
CACHED_FILE = "/home/someone/.cache/models/old model.joblib"

PICKLE = Rule(
    id="pickle-executes-code",
    name="Pickle calls a function that runs code",
    severity=Severity.CRITICAL,
    confidence=Confidence.HIGH,
    kind="pickle-call",
    match={"effect": ("process", "evaluate")},
    message="calls {callable} when loaded",
    help=Help(
        what="The file holds a pickle that calls a function able to run programs or code.",
        why="Loading the file is enough to run it. No method of the model needs to be called.",
        fix="Do not load this file. Ask its publisher for safetensors, or take an older revision.",
    ),
    cwe=("CWE-502", "CWE-94"),
    atlas=("AML.T0011.000",),
    references=("https://docs.python.org/3/library/pickle.html",),
    tags=("pkl-01",),
    family="pickle",
)
UNKNOWN_IMPORT = Rule(
    id="pickle-unreviewed-import",
    name="Pickle imports something nobody has reviewed",
    severity=Severity.LOW,
    confidence=Confidence.LOW,
    kind="pickle-imports",
    match={},
    message="imports {symbols}, which nobody has reviewed",
    help=Help(
        what="The pickle imports names that are in no list.",
        why="Importing a module runs it.",
        fix="Look at the names; add those you trust to your list.",
    ),
    cwe=("CWE-502",),
    references=("https://docs.python.org/3/library/pickle.html",),
)
ADVISORY = Rule(
    id="dependency-known-vulnerability",
    name="Dependency has a known vulnerability",
    severity=Severity.HIGH,
    confidence=Confidence.HIGH,
    kind="dependency-advisory",
    match={},
    message="{package} {version} is affected by {advisory}: {summary}",
    help=Help(
        what="A published advisory covers the pinned version.",
        why="The flaw is public, and so are ways to use it.",
        fix="Move to a fixed version (2.6.0 or later) and lock it.",
    ),
    cwe=("CWE-1395",),
    atlas=("AML.T0010.001",),
    references=("https://osv.dev/",),
)
UNPINNED = Rule(
    id="model-reference-unpinned",
    name="Model is loaded by name without a commit",
    severity=Severity.MEDIUM,
    confidence=Confidence.MEDIUM,
    kind="model-reference",
    match={"revision_kind": ("none",)},
    message="loads {repo} at whatever revision is newest",
    help=Help(
        what="The code names a repository, not a revision.",
        why="Who controls the repository controls what runs tomorrow.",
        fix='Pass revision="<40 hex digits>".',
    ),
    cwe=("CWE-829",),
    references=("https://huggingface.co/docs/transformers/main_classes/model",),
)
INDEX = Rule(
    id="extra-index-url",
    name="Extra package index is used",
    severity=Severity.INFO,
    confidence=Confidence.HIGH,
    kind="index-option",
    match={},
    message="adds the index {url}",
    help=Help(what="A second index is named.", why="The higher version wins.", fix="Use one index."),
    references=("https://pip.pypa.io/en/stable/cli/pip_install/",),
)
RULES = (PICKLE, UNKNOWN_IMPORT, ADVISORY, UNPINNED, INDEX)

REQUIREMENTS = "--extra-index-url https://pypi.acme.test/simple\nnumpy==1.26.4\ntorch==2.0.1\nrequests\n"
SERVE = 'from transformers import pipeline\n\nnlp = pipeline("sentiment", model="acme/sentiment")\n'


class Findings:
    """Makes Findings whose fingerprints are made the way a scan makes them."""

    def __init__(self) -> None:
        self._of = Fingerprints()

    def in_text(
        self, rule: Rule, message: str, text: str, location: Location, *, symbol: str = "", **facts: Fact
    ) -> Finding:
        assert location.line is not None
        fingerprint = self._of.text(
            rule_id=rule.id,
            path=location.uri,
            symbol=symbol,
            line_hash=line_hashes(text)[location.line - 1],
        )
        return Finding(
            rule=rule, message=message, location=location, facts=facts, fingerprint=fingerprint, symbol=symbol
        )

    def in_binary(
        self,
        rule: Rule,
        message: str,
        location: Location,
        *,
        symbol: str = "",
        related: tuple[Location, ...] = (),
        suppression: Suppression | None = None,
        **facts: Fact,
    ) -> Finding:
        return Finding(
            rule=rule,
            message=message,
            location=location,
            facts=facts,
            fingerprint=self._of.binary(
                rule_id=rule.id, path=location.uri, member=location.member, symbol=symbol
            ),
            symbol=symbol,
            related=related,
            suppression=suppression,
        )


def requirement(line: int, column: int, end_column: int) -> Location:
    return Location(uri="requirements.txt", line=line, column=column, end_line=line, end_column=end_column)


def dependency(name: str, version: str | None, line: int) -> Dependency:
    return Dependency(
        name=name,
        raw_name=name,
        version=version,
        specifier=f"=={version}" if version else "",
        location=requirement(line, 1, 1 + len(name)),
        kind=DependencyKind.REQUIREMENT,
    )


def sample_findings() -> tuple[Finding, ...]:
    make = Findings()
    model = "models/sentiment.pt"
    member = ("archive/data.pkl",)
    in_code = Location(uri="app/serve.py", line=3, column=7, end_line=3, end_column=55)
    calls = [
        make.in_binary(
            PICKLE,
            f"calls {name} when loaded",
            Location(uri=model, member=member, offset=70 + 40 * number, length=38),
            symbol=name,
            callable=name,
            arguments=("echo pwned-by-fixture",),
            protocol=2,
        )
        for number, name in enumerate(["os.system", *["builtins.eval"] * 7])
    ]
    remote = make.in_binary(
        PICKLE,
        "calls subprocess.Popen when loaded",
        Location(uri=HUB_FILE, member=("pytorch_model/data.pkl",), offset=12),
        symbol="subprocess.Popen",
        related=(in_code,),
    )
    cached = make.in_binary(
        UNKNOWN_IMPORT,
        "imports acme.layers.Gate, acme.layers.Mix, which nobody has reviewed",
        Location(uri=CACHED_FILE),
        symbol="acme.layers.Gate,acme.layers.Mix",
    )
    torch = [
        make.in_text(
            ADVISORY,
            f"torch 2.0.1 is affected by {advisory}: {summary}",
            REQUIREMENTS,
            requirement(3, 1, 13),
            symbol=advisory,
            package="torch",
            advisory=advisory,
        )
        for advisory, summary in (
            ("CVE-2025-32434", "torch.load runs code even with weights_only=True"),
            ("CVE-2024-31580", "a crafted program overflows a buffer"),
        )
    ]
    unpinned = make.in_text(
        UNPINNED,
        "loads acme/sentiment at whatever revision is newest",
        SERVE,
        in_code,
        symbol="acme/sentiment",
        repo="acme/sentiment",
        revision=None,
    )
    index = make.in_text(
        INDEX, "adds the index https://pypi.acme.test/simple", REQUIREMENTS, requirement(1, 1, 48)
    )
    return (*calls, remote, *torch, unpinned, cached, index)


def sample_notifications() -> tuple[Notification, ...]:
    return (
        Notification(
            code="malformed",
            message="the zip directory ends after 22 of 418 bytes",
            location=Location(uri="models/broken.pt"),
            incomplete=True,
        ),
        Notification(
            code="budget-exceeded",
            message="limit reached: inflated bytes (at most 4,294,967,296)",
            level=Level.ERROR,
            location=Location(uri="data/bomb.zip", member=("a.gz", "b")),
            incomplete=True,
        ),
        Notification(
            code="not-fetched",
            message="acme/other is referenced, but not in the local cache",
            level=Level.NOTE,
            location=Location(uri="app/serve.py", line=9, column=1, end_line=9, end_column=20),
            incomplete=True,
        ),
        Notification(
            code="configuration-from-target",
            message="supplyguard.toml of the scanned tree is in use",
            level=Level.NOTE,
        ),
    )


def sample_audits() -> tuple[Audit, ...]:
    embedded = "embedded"
    return (
        Audit(dependency=dependency("numpy", "1.26.4", 2), status=AuditStatus.CLEAN, database=embedded),
        Audit(dependency=dependency("torch", "2.0.1", 3), status=AuditStatus.AFFECTED, database=embedded),
        Audit(
            dependency=dependency("requests", None, 4),
            status=AuditStatus.NOT_AUDITED,
            database=embedded,
            reason="no exact version is pinned",
        ),
    )


def report_of(
    findings: Sequence[Finding] = (),
    *,
    verdict: Verdict = Verdict.PASS,
    suppressed: Sequence[Finding] = (),
    notifications: Sequence[Notification] = (),
    rules: tuple[Rule, ...] = RULES,
    artifacts: tuple[tuple[Artifact, str | None], ...] = (),
    audits: tuple[Audit, ...] = (),
    fail_on: Severity | None = Severity.HIGH,
    counts: Counts | None = None,
    targets: tuple[str, ...] = (".",),
    tool_version: str = "1.2.3",
) -> Report:
    """Make a report of just these parts."""
    return Report(
        tool_version=tool_version,
        started=STARTED,
        seconds=1.25,
        targets=targets,
        verdict=verdict,
        fail_on=fail_on,
        findings=tuple(findings),
        suppressed=tuple(suppressed),
        below_threshold=0,
        notifications=tuple(notifications),
        rules=rules,
        artifacts=artifacts,
        audits=audits,
        model_refs=(),
        advisory_data=(),
        counts=counts if counts is not None else Counts(),
    )


def sample_report() -> Report:
    """Make a report that has one of everything."""
    suppressed = Findings().in_binary(
        PICKLE,
        "calls os.system when loaded",
        Location(uri="tests/data/evil.pkl", offset=2, length=30),
        symbol="os.system",
        suppression=Suppression(
            kind=SuppressionKind.CONFIGURED,
            reason="a test's fixture, never loaded",
            location=Location(uri="supplyguard.toml", line=4, column=1, end_line=4, end_column=30),
        ),
    )
    return Report(
        tool_version="1.2.3",
        started=STARTED,
        seconds=1.25,
        targets=("demo",),
        verdict=Verdict.FAIL,
        fail_on=Severity.HIGH,
        findings=sample_findings(),
        suppressed=(suppressed,),
        below_threshold=2,
        notifications=sample_notifications(),
        rules=RULES,
        artifacts=(
            (
                Artifact(uri="models/sentiment.pt", path=Path("models/sentiment.pt"), size=104_857_600),
                "a" * 64,
            ),
            (
                Artifact(uri="models/tidy.safetensors", path=Path("models/tidy.safetensors"), size=2_048),
                "b" * 64,
            ),
            (
                Artifact(
                    uri=HUB_FILE,
                    path=Path("/home/someone/.cache/huggingface/blob"),
                    size=77,
                    origin=Location(uri="app/serve.py", line=3, column=7, end_line=3, end_column=55),
                ),
                None,
            ),
            (Artifact(uri=CACHED_FILE, path=Path(CACHED_FILE), size=5_000), "c" * 64),
        ),
        audits=sample_audits(),
        model_refs=(
            ModelRef(
                loader="transformers.pipeline",
                repo="acme/sentiment",
                revision=None,
                revision_kind=RevisionKind.NONE,
                location=Location(uri="app/serve.py", line=3, column=7, end_line=3, end_column=55),
            ),
        ),
        advisory_data=(
            AdvisoryData(
                name="embedded",
                updated=datetime(2026, 2, 1, tzinfo=UTC),
                records=214,
                origin="supplyguard 1.2.3",
            ),
            AdvisoryData(name="osv", updated=None, records=None, origin="https://api.osv.dev"),
        ),
        counts=Counts(
            inspected=5,
            manifests=2,
            not_recognised=1,
            other_files=31,
            skipped_files=2,
            skipped_folders=3,
            members=41,
            inert_members=38,
        ),
        root_prefix="services/nlp/",
        offline=True,
    )
