"""HDF5 files and legacy Keras models: links, storage, filters and configurations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures import raw_hdf5 as h5
from fixtures.keras_objects import model, old_lambda
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import keras_h5
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import content, findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "keras_h5"


def seen(data: bytes) -> list[Evidence]:
    return [item for item in yielded(keras_h5, data, "m.h5") if isinstance(item, Evidence)]


def gaps(data: bytes) -> list[str]:
    return [item.message for item in yielded(keras_h5, data, "m.h5") if isinstance(item, Notification)]


def test_recognised_where_the_library_looks() -> None:
    plain = h5.file([])
    for start in (0, 512, 1024, 32_768):
        assert keras_h5.recognizes(probe(bytes(start) + plain, "a.bin"))
    for start in (1, 513, 1536):
        assert not keras_h5.recognizes(probe(bytes(start) + plain, "a.bin"))
    assert keras_h5.recognizes(probe(bytes(131_072) + plain, "a.H5"))
    assert not keras_h5.recognizes(probe(bytes(100), "a.h5"))


def test_a_late_superblock_is_found_and_none_is_malformed() -> None:
    data = bytes(131_072) + h5.file([h5.external_link("a", "b", "c")])
    assert [each.kind for each in seen(data)] == ["hdf5-user-block", "hdf5-external-link"]
    with pytest.raises(MalformedError):
        seen(bytes(100_000))


def test_an_empty_user_block_is_fine_and_a_full_one_is_a_member() -> None:
    assert seen(bytes(512) + h5.file([])) == []
    items = list(yielded(keras_h5, b"MZ".ljust(512, b"\1") + h5.file([])))
    (member,) = (item for item in items if isinstance(item, Member))
    assert content(member)[:3] == b"MZ\1"


def test_filters_of_the_library_are_fine() -> None:
    assert seen(h5.file([], [("a", h5.dataset(h5.chunked(1), h5.filters(1, 2, 3, 32000)))])) == []
    (found,) = seen(h5.file([], [("a", h5.dataset(h5.chunked(1), h5.filters(32001, 1)))]))
    assert found.facts["filters"] == ("32001",)


def test_large_is_fine_when_it_is_there() -> None:
    for shape, count in (((1 << 15, 1 << 14), 0), ((1 << 16, 1 << 16), 1)):
        data = h5.file([], [("a", h5.dataset(h5.contiguous(h5.UNDEFINED, 0), shape=shape))])
        assert len(seen(data)) == count


def test_where_the_evidence_is() -> None:
    data = (FIXTURES / "malicious" / "external_link.h5").read_bytes()
    (found,) = seen(data)
    assert found.location.offset == h5.SUPERBLOCK
    assert found.facts["target"] == "/etc/hostname:/a"
    data = (FIXTURES / "malicious" / "lambda.h5").read_bytes()
    (found,) = seen(data)
    assert found.location.offset is not None
    assert data[found.location.offset :].startswith(b'{"module"')


def test_evidence_is_kept_where_a_part_cannot_be_read() -> None:
    broken = h5.message(0x0C, bytes([9]) + bytes(20))
    data = h5.file([broken, h5.text_attribute("model_config", json.dumps(model(old_lambda())).encode())])
    assert [each.kind for each in seen(data)] == ["keras-lambda-code"]
    assert gaps(data) == ["/: an attribute of an unknown version"]


def test_many_problems_are_counted() -> None:
    data = h5.file([h5.message(0x0C, bytes([9]) + bytes(20))] * 30)
    assert len(gaps(data)) == keras_h5.MOST_PROBLEMS + 1
    assert gaps(data)[-1] == "10 more places could not be read"


def test_a_broken_configuration_is_a_finding_and_a_gap() -> None:
    for name in ("not_json", "config_number", "empty_config", "missing_part"):
        part = part_of(FIXTURES / "malicious" / f"{name}.h5")
        assert {each.rule.id for each in findings(part)} == {"keras-config-broken"}
        assert [each.incomplete for each in part.notifications] == [True]


def test_limits_hold() -> None:
    data = (FIXTURES / "benign" / "functional.h5").read_bytes()
    with pytest.raises(BudgetExceededError):
        list(yielded(keras_h5, data, "m.h5", Budget(Limits(nodes=10))))


@pytest.mark.parametrize(
    "name", ["malicious/lambda.h5", "malicious/external_storage.h5", "benign/soft_cycle.h5"]
)
def test_cut_and_changed_files(name: str) -> None:
    data = (FIXTURES / name).read_bytes()
    for each in (*cuts(data, 300), *mutations(data, 100)):
        survives(keras_h5, each, "m.h5")
