"""Advisory records on disk, each as it was at one modification: those do not change any more."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from supplyguard.advisories.osv import load
from supplyguard.errors import MalformedError


class RecordCache:
    """A folder with one file a record. A folder that cannot be used only costs fetching again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, identifier: str, modified: str) -> bytes | None:
        """Give the record as JSON, when it is there as of `modified`."""
        try:
            document = load(self._file(identifier).read_bytes())
        except (OSError, MalformedError):  # not there, or half written by a crash: to be fetched
            return None
        if not isinstance(document, dict) or document.get("modified") != modified:
            return None
        record = document.get("record")
        return record.encode() if isinstance(record, str) else None

    def put(self, identifier: str, modified: str, content: bytes) -> None:
        """Keep a record, in the stead of an older version of it."""
        file = self._file(identifier)
        new = file.with_name(f"{file.name}.{os.getpid()}")
        document = {"modified": modified, "record": content.decode("utf-8", "replace")}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(document), encoding="utf-8")
            new.replace(file)
        except OSError:
            return

    def clear(self) -> None:
        """Remove every record."""
        for file in self._folder.glob("*.json*"):
            file.unlink(missing_ok=True)

    def _file(self, identifier: str) -> Path:
        """Name a record's file: ids may hold characters that file systems refuse."""
        return self._folder / f"{hashlib.sha256(identifier.encode()).hexdigest()[:32]}.json"
