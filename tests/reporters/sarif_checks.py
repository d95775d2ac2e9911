"""What a log must keep to: the standard's schema, and GitHub's documented limits."""

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

Json = dict[str, Any]

SCHEMA = json.loads((Path(__file__).parent / "sarif_schema.json").read_text(encoding="utf-8"))
UPLOADABLE_URI = re.compile(r"[A-Za-z0-9\-._~/@+,=!%]+")


def run_of(text: str) -> Json:
    """Validate a log with the standard's schema, and give its one run."""
    document = json.loads(text)
    Draft202012Validator(SCHEMA).validate(document)
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("/sarif-schema-2.1.0.json")
    (run,) = document["runs"]
    assert isinstance(run, dict)
    return run


def check_limits(run: Json) -> None:
    """Check what GitHub documents, and neither the schema nor the validator looks at."""
    rules = run["tool"]["driver"]["rules"]
    assert len(rules) <= 25_000
    for rule in rules:
        check_rule(rule)
    assert len(run["results"]) <= 25_000
    fingerprints = set()
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] == rules[result["ruleIndex"]]["defaultConfiguration"]["level"]
        assert result["message"]["text"]
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        check_uri(physical["artifactLocation"], run)
        assert set(physical["region"]) == {"startLine", "startColumn", "endLine", "endColumn"}
        assert 1 + len(result.get("relatedLocations", [])) <= 100
        primary = result["partialFingerprints"]["primaryLocationLineHash"]
        assert re.fullmatch(r"[0-9a-f]{1,16}:[1-9]\d*", primary)
        fingerprints.add((result["ruleId"], physical["artifactLocation"]["uri"], primary))
    assert len(fingerprints) == len(run["results"])
    for artifact in run["artifacts"]:
        check_uri(artifact["location"], run)


def check_rule(rule: Json) -> None:
    assert rule["id"]
    assert 0 < len(rule["name"]) <= 255
    assert 0 < len(rule["shortDescription"]["text"]) <= 1024
    assert 0 < len(rule["fullDescription"]["text"]) <= 1024
    assert rule["help"]["text"]
    assert rule["help"]["markdown"]
    assert rule["helpUri"].startswith("https://")
    assert rule["defaultConfiguration"]["level"] in {"note", "warning", "error"}
    properties = rule["properties"]
    assert properties["precision"] in {"very-high", "high", "medium", "low"}
    assert properties["problem.severity"] in {"error", "warning", "recommendation"}
    assert isinstance(properties["security-severity"], str)
    assert float(properties["security-severity"]) != 9.0
    assert "security" in properties["tags"]
    assert len(set(properties["tags"])) == len(properties["tags"]) <= 10


def check_uri(location: Json, run: Json) -> None:
    uri = location["uri"]
    assert UPLOADABLE_URI.fullmatch(uri)
    assert not uri.startswith("/")
    assert not {".", ".."} & set(uri.split("/"))
    if "uriBaseId" in location:
        assert location["uriBaseId"] in run["originalUriBaseIds"]
    if "index" in location:
        assert run["artifacts"][location["index"]]["location"]["uri"] == uri
