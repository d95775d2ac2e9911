from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.finding import Level, Notification
from supplyguard.inventory import Artifact, Location, ModelRef, RevisionKind
from supplyguard.sources import hub_cache
from supplyguard.sources.hub_cache import default_cache, resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40
PLACE = Location(uri="load.py", line=3)


def ref(
    repo: str | None = "org/name",
    revision: str | None = None,
    kind: RevisionKind = RevisionKind.NONE,
    repo_type: str = "model",
) -> ModelRef:
    return ModelRef(
        loader="x", repo=repo, location=PLACE, revision=revision, revision_kind=kind, repo_type=repo_type
    )


def cached(cache: Path, folder: str = "models--org--name", commit: str = COMMIT) -> Path:
    """Lay a repository out as huggingface_hub does; gives its folder."""
    repository = cache / folder
    snapshot = repository / "snapshots" / commit
    (snapshot / "sub").mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "blobs" / "aa").write_bytes(b"12345")
    (repository / "blobs" / "bb").write_bytes(b"{}")
    (snapshot / "model.bin").symlink_to("../../blobs/aa")
    (snapshot / "sub" / "config.json").symlink_to("../../../blobs/bb")
    (repository / "refs" / "refs" / "pr").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "refs" / "v1.0").write_text(f"{commit}\n")
    (repository / "refs" / "refs" / "pr" / "1").write_text(commit)
    return repository


def names(cache: Path, *refs: ModelRef) -> list[str]:
    return [each.uri if isinstance(each, Artifact) else each.code for each in resolve(refs, cache)]


FILES = [f"hf://org/name@{COMMIT}/model.bin", f"hf://org/name@{COMMIT}/sub/config.json"]


@pytest.mark.parametrize(
    "given_ref",
    [
        ref(),
        ref(revision="main", kind=RevisionKind.NAME),
        ref(revision="v1.0", kind=RevisionKind.NAME),
        ref(revision="refs/pr/1", kind=RevisionKind.NAME),
        ref(revision=COMMIT, kind=RevisionKind.COMMIT),
        ref(revision=COMMIT.upper(), kind=RevisionKind.COMMIT),
    ],
)
def test_a_cached_repository_gives_its_files(tmp_path: Path, given_ref: ModelRef) -> None:
    repository = cached(tmp_path)
    found = list(resolve([given_ref], tmp_path))
    assert [each.uri for each in found if isinstance(each, Artifact)] == FILES
    first = found[0]
    assert isinstance(first, Artifact)
    assert (first.size, first.origin, first.root) == (5, PLACE, repository)
    assert first.path.read_bytes() == b"12345"
    assert first.path.name == "model.bin"


@pytest.mark.parametrize(
    ("repo_type", "folder", "uri"),
    [
        ("dataset", "datasets--org--name", f"hf://datasets/org/name@{COMMIT}/model.bin"),
        ("space", "spaces--org--name", f"hf://spaces/org/name@{COMMIT}/model.bin"),
    ],
)
def test_other_kinds_of_repositories(tmp_path: Path, repo_type: str, folder: str, uri: str) -> None:
    cached(tmp_path, folder)
    assert names(tmp_path, ref(repo_type=repo_type))[0] == uri
    assert names(tmp_path, ref()) == ["not-fetched"]


def test_a_name_without_an_organisation(tmp_path: Path) -> None:
    cached(tmp_path, "models--gpt2")
    assert names(tmp_path, ref("gpt2"))[0] == f"hf://gpt2@{COMMIT}/model.bin"


def test_a_snapshot_is_given_once_and_each_revision_of_its_own(tmp_path: Path) -> None:
    repository = cached(tmp_path)
    (repository / "snapshots" / OTHER).mkdir()
    (repository / "snapshots" / OTHER / "a.txt").write_text("x")
    pinned = ref(revision=OTHER, kind=RevisionKind.COMMIT)
    assert names(tmp_path, ref(), ref(revision="main", kind=RevisionKind.NAME), pinned, pinned) == [
        *FILES,
        f"hf://org/name@{OTHER}/a.txt",
    ]


def test_what_is_not_cached_is_said_once(tmp_path: Path) -> None:
    cached(tmp_path)
    (note, *more) = resolve(
        [
            ref("org/other"),
            ref("org/other"),
            ref(revision="dev", kind=RevisionKind.NAME),
            ref(revision=OTHER, kind=RevisionKind.COMMIT),
            ref(kind=RevisionKind.DYNAMIC),
            ref("o/r", repo_type="github"),
            ref(None),
        ],
        tmp_path,
    )
    assert note == Notification(
        code="not-fetched",
        message="referenced, not fetched: model org/other",
        level=Level.NOTE,
        location=PLACE,
        incomplete=True,
    )
    assert [each.message for each in more if isinstance(each, Notification)] == [
        "referenced, not fetched: model org/name@dev",
        f"referenced, not fetched: model org/name@{OTHER}",
        "referenced, not fetched: model org/name (its revision is computed at run time)",
        "referenced, not fetched: github o/r",
    ]


def test_references_may_grow_while_they_are_read(tmp_path: Path) -> None:
    cached(tmp_path)
    cached(tmp_path, "models--org--more")
    refs = [ref()]
    found = []
    for each in resolve(refs, tmp_path):
        assert isinstance(each, Artifact)
        found.append(each.uri)
        if len(refs) < 3:
            refs.append(ref("org/more"))
    assert found == [*FILES, *(name.replace("name", "more") for name in FILES)]


@pytest.mark.parametrize(
    "repo",
    [
        "../../etc",
        "..",
        ".",
        "a/..",
        "/etc",
        "a/b/c",
        "a--b",
        "a\\b",
        "a/b\0",
        "",
        "a/",
        "é/x",
        "a b",
        "x" * 300,
    ],
)
def test_hostile_names_lead_nowhere(tmp_path: Path, repo: str) -> None:
    cache = tmp_path / "deep" / "cache"
    cached(cache)
    cached(tmp_path, "models--..--etc")
    assert names(cache, ref(repo)) == ["not-fetched"]


@pytest.mark.parametrize(
    "revision",
    ["../main", "/etc/passwd", "..", "refs/../main", "a//b", "main\0", "", ".", "x" * 400, "link", "pipe"],
)
def test_hostile_revisions_lead_nowhere(tmp_path: Path, revision: str) -> None:
    repository = cached(tmp_path)
    (tmp_path / "outside").write_text(COMMIT)
    (repository / "main").write_text(COMMIT)
    (repository / "refs" / "link").symlink_to("../../outside")
    os.mkfifo(repository / "refs" / "pipe")
    # an empty revision is the default one
    expected = FILES if revision == "" else ["not-fetched"]
    assert names(tmp_path, ref(revision=revision, kind=RevisionKind.NAME)) == expected


@pytest.mark.parametrize("content", [b"", b"../../x", b"\xff" * 40, b"0" * 41, OTHER.encode()])
def test_refs_that_name_no_snapshot(tmp_path: Path, content: bytes) -> None:
    repository = cached(tmp_path)
    (repository / "refs" / "main").write_bytes(content)
    assert names(tmp_path, ref()) == ["not-fetched"]


def test_links_may_lead_within_the_repository_only(tmp_path: Path) -> None:
    repository = cached(tmp_path)
    other = cached(tmp_path, "models--org--other")
    snapshot = repository / "snapshots" / COMMIT
    (tmp_path / "outside").write_text("x")
    (snapshot / "a_link").symlink_to("../../../outside")
    (snapshot / "b_other").symlink_to(other / "blobs" / "aa")
    (snapshot / "c_gone").symlink_to("../../blobs/gone")
    (snapshot / "d_folder").symlink_to("sub")
    (snapshot / "e_loop").symlink_to("e_loop")
    os.mkfifo(snapshot / "f_pipe")
    found = list(resolve([ref()], tmp_path))
    notes = [(each.code, str(each.location)) for each in found if isinstance(each, Notification)]
    prefix = f"hf://org/name@{COMMIT}/"
    assert notes == [
        ("link-outside", f"{prefix}a_link"),
        ("link-outside", f"{prefix}b_other"),
        ("unreadable", f"{prefix}c_gone"),
        ("special-file", f"{prefix}d_folder"),
        ("unreadable", f"{prefix}e_loop"),
        ("special-file", f"{prefix}f_pipe"),
    ]
    assert all(each.incomplete for each in found if isinstance(each, Notification))
    assert [each.uri for each in found if isinstance(each, Artifact)] == FILES


def test_a_repository_or_snapshot_that_is_a_link_elsewhere_is_not_followed(tmp_path: Path) -> None:
    cached(tmp_path / "elsewhere")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "models--org--name").symlink_to(tmp_path / "elsewhere" / "models--org--name")
    assert names(cache, ref()) == ["not-fetched"]
    repository = cached(cache, "models--org--more")
    (repository / "snapshots" / OTHER).symlink_to(tmp_path / "elsewhere")
    assert names(cache, ref("org/more", OTHER, RevisionKind.COMMIT)) == ["not-fetched"]


def test_a_folder_that_cannot_be_listed_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(tmp_path)
    real = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        assert names(tmp_path, ref()) == [FILES[0], "unreadable"]


def test_an_unreadable_ref_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(tmp_path)

    def refuse(*_args: object) -> object:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refuse)
        assert names(tmp_path, ref()) == ["not-fetched"]


def test_a_snapshot_of_too_many_files_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(tmp_path)
    monkeypatch.setattr(hub_cache, "FILES", 1)
    assert names(tmp_path, ref()) == [FILES[0], "budget-exceeded"]


def test_a_cache_that_is_not_there(tmp_path: Path) -> None:
    assert names(tmp_path / "gone", ref()) == ["not-fetched"]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HF_HUB_CACHE": "/x/cache"},
        {"HUGGINGFACE_HUB_CACHE": "/y/cache"},
        {"HF_HUB_CACHE": "/x/cache", "HUGGINGFACE_HUB_CACHE": "/y/cache"},
        {"HF_HOME": "~/hf"},
        {"HF_HOME": "$HOME/there"},
        {"XDG_CACHE_HOME": "/z"},
    ],
)
def test_the_default_folder_is_the_librarys_own(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = {"HOME": "/home/someone", "PATH": os.environ["PATH"], **environment}
    program = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    answer = subprocess.run(
        [sys.executable, "-c", program], env=clean, capture_output=True, text=True, check=True
    )
    for name in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(default_cache(environment)) == answer.stdout.strip()


@settings(deadline=None, max_examples=200)
@given(
    repo=st.one_of(
        st.text(max_size=20),
        st.lists(st.sampled_from(["..", "/", "-", "org", "name", ".", "\0"])).map("".join),
    ),
    revision=st.one_of(
        st.none(), st.text(max_size=20), st.lists(st.sampled_from(["..", "/", "main", "refs"])).map("".join)
    ),
    kind=st.sampled_from(RevisionKind),
    repo_type=st.sampled_from(["model", "dataset", "space", "github", "../x", ""]),
)
def test_no_reference_leads_out_of_its_repository(
    tmp_path_factory: pytest.TempPathFactory,
    repo: str,
    revision: str | None,
    kind: RevisionKind,
    repo_type: str,
) -> None:
    cache = tmp_path_factory.mktemp("hub")
    (cache / "secret").write_text(COMMIT)
    repository = cached(cache)
    for item in resolve([ref(repo, revision, kind, repo_type)], cache):
        if isinstance(item, Artifact):
            assert item.path.resolve().is_relative_to(repository.resolve())
        else:
            assert item.code == "not-fetched"
