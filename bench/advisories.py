"""Measure the audit of dependencies beside pip-audit, on the same data: `python bench/advisories.py`.

pip-audit asks a stand-in of OSV's service on the loopback interface, which answers from the same zip
that our store is made of. The stand-in matches with code of its own, which shares nothing with what
is measured. Prints times, then whether both found the same. Bounds are on CPU time, which other work
on the machine changes least.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from measure import Run, compare, program, run
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

PINS = 200
RECORDS = 25_000
PACKAGES = 1_000
SUPPLYGUARD = program("supplyguard")
Pin = tuple[str, str]

QUERY = """
import resource, sys, time
from pathlib import Path
from supplyguard.advisories.store import Store
from supplyguard.inventory import Dependency, Location
here = Location(uri="requirements.txt")
wanted = [Dependency(name=n, raw_name=n, version=v, location=here)
          for n, v in (line.split("==") for line in Path(sys.argv[2]).read_text().split())]
begin = time.process_time()
answers = list(Store(Path(sys.argv[1])).audit(wanted))
seconds = time.process_time() - begin
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(answers))
"""


def real_data(folder: Path) -> Path:
    """Give the zip of advisories that lies beside the checkout, else a generated one."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "pysec-2024-10.zip"
    return beside if beside.is_file() else generated(folder / "generated.zip", 2_661)


def generated(path: Path, records: int) -> Path:
    """Write a zip of made-up records: ranges, enumerated versions, aliases, details of usual length."""
    chance = random.Random(7)  # noqa: S311 - no secret
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(records):
            document = made_up(number, f"package-{chance.randrange(records // 3)}", chance)
            archive.writestr(f"{document['id']}.json", json.dumps(document))
    return path


def made_up(number: int, name: str, chance: random.Random) -> dict[str, Any]:
    """Make one record."""
    until = chance.randrange(5, 120)
    events = [{"introduced": "0"}, {"fixed": f"1.{until}"}]
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    return {
        "id": f"PYSEC-2026-{number}",
        "modified": "2026-02-03T00:00:00Z",
        "aliases": [f"CVE-2026-{number:05}", f"GHSA-{number:04x}-{number:04x}-{number:04x}"],
        "summary": f"Problem {number}",
        "details": "It breaks in a way that takes some words to tell. " * 12,
        "severity": [{"type": "CVSS_V3", "score": vector}],
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": name},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
                "versions": [f"1.{minor}" for minor in range(until)],
            }
        ],
    }


Records = dict[str, list[dict[str, Any]]]


def read_records(archive: Path) -> Records:
    """Give the records by package, withdrawn ones left out."""
    records: Records = {}
    with zipfile.ZipFile(archive) as opened:
        for member in opened.namelist():
            record = json.loads(opened.read(member)) if member.endswith(".json") else {}
            if record.get("withdrawn"):
                continue
            for name in {canonicalize_name(entry["package"]["name"]) for entry in record.get("affected", ())}:
                records.setdefault(name, []).append(record)
    return records


def entries(records: Records, name: str) -> Iterator[dict[str, Any]]:
    """Give what the records say of a package."""
    for record in records[name]:
        yield from (one for one in record["affected"] if canonicalize_name(one["package"]["name"]) == name)


def matching(records: Records, name: str, version: str) -> list[dict[str, Any]]:
    """Give the records that enumerate a version or whose ranges include it, as the OSV format says."""
    return [
        one for one in records.get(name, ()) if any(hits(e, version) for e in entries({name: [one]}, name))
    ]


def hits(entry: dict[str, Any], version: str) -> bool:
    """Whether one entry concerns a version: written for this comparison, apart from what is compared."""
    if version in entry.get("versions", ()):
        return True
    for span in entry.get("ranges", ()):
        if span["type"] != "ECOSYSTEM":
            continue
        state = False
        events = [(kind, text) for event in span["events"] for kind, text in event.items()]
        for kind, text in sorted(events, key=lambda event: (ordered(event[1]), event[0] != "fixed")):
            if ordered(version) >= ordered(text):
                state = kind == "introduced" or (kind == "last_affected" and version == text)
        if state:
            return True
    return False


def ordered(text: str) -> Version:
    """Parse a version; "0" and what is none come first of all."""
    try:
        return Version(text) if text != "0" else Version("0.dev0")
    except InvalidVersion:
        return Version("0.dev0")


def chosen_pins(records: Records, count: int) -> list[Pin]:
    """Choose packages: for half of them an affected version, for the others one that nobody knows."""
    known = {
        name: [v for e in entries(records, name) for v in e.get("versions", ())] for name in sorted(records)
    }
    names = [name for name, versions in known.items() if versions]
    step = max(1, len(names) // count)
    return [
        (name, middle(known[name]) if place % 2 else "99999.0")
        for place, name in enumerate(names[::step][:count])
    ]


def middle(versions: Sequence[str]) -> str:
    """Choose one that is a PEP 440 version: pip-audit refuses a file with another."""
    usable = [one for one in versions if ordered(one) != Version("0.dev0")]
    return usable[len(usable) // 2] if usable else "99999.0"


def write_pins(path: Path, pins: Sequence[Pin]) -> Path:
    """Write a requirements file with a hash on each line."""
    lines = [
        f"{name}=={version} --hash=sha256:{hashlib.sha256(name.encode()).hexdigest()}\n"
        for name, version in pins
    ]
    path.write_text("".join(lines), encoding="utf-8")
    return path


@contextmanager
def osv_stand_in(records: Records, pins: Sequence[Pin]) -> Iterator[str]:
    """Answer OSV's /v1/query, /v1/querybatch and /v1/vulns for some pins; gives the base address."""
    answers = {}
    by_id = {record["id"]: record for name, _version in pins for record in records.get(name, ())}
    for name, version in pins:
        # as they are asked for: pip-audit normalises, and so does OSV
        answers[name, str(Version(version))] = matching(records, name, version)

    def answer(path: str, body: bytes) -> Any:
        if path.startswith("/v1/vulns/"):
            return by_id[path.removeprefix("/v1/vulns/")]
        asked = json.loads(body)
        if path == "/v1/query":
            return vulnerabilities(asked, full=True)
        return {"results": [vulnerabilities(query, full=False) for query in asked["queries"]]}

    def vulnerabilities(query: dict[str, Any], *, full: bool) -> dict[str, Any]:
        found = answers[query["package"]["name"], str(Version(query["version"]))]
        brief = [{"id": one["id"], "modified": one["modified"]} for one in found]
        return {"vulns": found if full else brief} if found else {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            body = json.dumps(answer(self.path, asked)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - the name that http.server calls

        def log_message(self, *_args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def ours(store: Path, pins: Path) -> tuple[str, ...]:
    """Give our command."""
    options = ("--offline", "--isolated", "--max-db-age", "0", "--only", "dependencies", "--db", str(store))
    return (SUPPLYGUARD, "scan", *options, "--quiet", str(pins))


def theirs(address: str, pins: Path) -> tuple[str, ...]:
    """Give pip-audit's command."""
    service = ("-s", "osv", "--osv-url", f"{address}/v1/query")
    options = ("--no-deps", "--disable-pip", "--progress-spinner", "off", *service)
    return (program("pip-audit"), *options, "-r", str(pins))


def found_by_us(store: Path, pins: Path) -> dict[str, list[frozenset[str]]]:
    """Give the ids of every problem that we report, by package."""
    command = [part for part in ours(store, pins) if part != "--quiet"]
    output = subprocess.run([*command, "-f", "json"], stdout=subprocess.PIPE, check=False).stdout
    problems: dict[str, list[frozenset[str]]] = {}
    for finding in json.loads(output)["findings"]:
        facts = finding["facts"]
        # what only the embedded records know is not in the data that the other is given
        if "aliases" in facts and facts["databases"] != ["embedded"]:
            problems.setdefault(facts["package"], []).append(frozenset(facts["aliases"]))
    return problems


def found_by_them(address: str, pins: Path) -> dict[str, list[frozenset[str]]]:
    """Give the ids of every problem that pip-audit reports, by package."""
    done = subprocess.run(
        [*theirs(address, pins), "-f", "json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    problems: dict[str, list[frozenset[str]]] = {}
    for dependency in json.loads(done.stdout)["dependencies"]:
        for vulnerability in dependency["vulns"]:
            ids = frozenset({vulnerability["id"], *vulnerability["aliases"]})
            problems.setdefault(dependency["name"], []).append(ids)
    return problems


def differences(
    mine: dict[str, list[frozenset[str]]], other: dict[str, list[frozenset[str]]]
) -> tuple[list[str], list[str]]:
    """Give what only one of the two names: (only ours, only theirs). One shared id is the same problem."""

    def missing(left: dict[str, list[frozenset[str]]], right: dict[str, list[frozenset[str]]]) -> list[str]:
        return [
            f"{name}: {', '.join(sorted(ids))}"
            for name, found in sorted(left.items())
            for ids in found
            if all(ids.isdisjoint(known) for known in right.get(name, ()))
        ]

    return missing(mine, other), missing(other, mine)


def imported(archive: Path, store: Path) -> Run:
    """Import a zip by the command line."""
    command = (
        SUPPLYGUARD,
        "db",
        "update",
        "--quiet",
        "--isolated",
        "--from",
        str(archive),
        "--db",
        str(store),
    )
    return run(command, frozenset({0}))


def queried(store: Path, pins: Path) -> tuple[float, float]:
    """Ask a store for many packages in a process of its own: (CPU seconds, MiB)."""
    done = subprocess.run(
        [sys.executable, "-c", QUERY, str(store), str(pins)], stdout=subprocess.PIPE, check=True
    )
    seconds, peak, _ = done.stdout.split()
    return float(seconds), float(peak)


def measure_store(folder: Path, archive: Path) -> bool:
    """Print what the store costs; gives whether all is within the bounds."""
    store = folder / "store.sqlite3"
    small = imported(archive, store)
    large_store = folder / "large.sqlite3"
    large = imported(generated(folder / "large.zip", RECORDS), large_store)
    (folder / "names.txt").write_text(
        "\n".join(f"package-{n}=={'1.3' if n % 2 else '99999.0'}" for n in range(PACKAGES))
    )
    seconds, peak = queried(large_store, folder / "names.txt")
    print(f"import of {archive.name}: {small.cpu:.2f} s of CPU, {small.peak:.0f} MiB  (at most 3 s)")
    print(f"import of {RECORDS:,} generated records: {large.cpu:.2f} s of CPU, {large.peak:.0f} MiB")
    print(
        f"{PACKAGES:,} packages asked of {RECORDS:,} records: {seconds:.2f} s of CPU, {peak:.0f} MiB  "
        "(at most 1 s and 150 MiB)"
    )
    return small.cpu < 3.0 and seconds < 1.0 and peak < 150


def measure_audit(folder: Path, archive: Path) -> bool:
    """Print the audit beside pip-audit's, and what they found; gives whether ours is within the bounds."""
    store = folder / "store.sqlite3"
    records = read_records(archive)
    chosen = chosen_pins(records, PINS)
    pins = write_pins(folder / "requirements.txt", chosen)
    with osv_stand_in(records, chosen) as address:
        mine, other = found_by_us(store, pins), found_by_them(address, pins)
        result = compare(
            f"{PINS} hashed pins / pip-audit",
            ours(store, pins),
            theirs(address, pins),
            at_most=1.0,
            accepted=frozenset({0, 1, 3}),
        )
        print(result)
    start = min((run((SUPPLYGUARD, "--version"), frozenset({0})) for _ in range(3)), key=lambda one: one.cpu)
    beyond = result.ours.cpu - start.cpu
    print(f"CPU: ours {result.ours.cpu:.2f} s, theirs {result.theirs.cpu:.2f} s")
    print(f"beyond start-up ({start.cpu:.2f} s): {beyond:.2f} s of CPU  (at most 0.5 s)")
    only_mine, only_other = differences(mine, other)
    print(f"problems: ours {sum(map(len, mine.values()))}, theirs {sum(map(len, other.values()))}")
    print("only ours:", *(only_mine or ["nothing"]), sep="\n  ")
    print("only theirs:", *(only_other or ["nothing"]), sep="\n  ")
    return result.ratio <= result.at_most and beyond < 0.5 and not only_other


def main() -> None:
    """Run everything; exits with 1 when a bound is missed or pip-audit knows more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zip", type=Path, help="a zip in the layout of OSV's")
    chosen = parser.parse_args().zip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SUPPLYGUARD_CACHE_DIR"] = f"{name}/cache"
        os.environ["HF_HOME"] = f"{name}/hub"
        # installed packages are compiled: neither program compiles its own at each start
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = f"{name}/compiled"
        archive = chosen or real_data(folder)
        within = [measure_store(folder, archive), measure_audit(folder, archive)]
    sys.exit(0 if all(within) else 1)


if __name__ == "__main__":
    main()
