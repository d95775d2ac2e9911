"""Files to measure on: made once into a folder, from the standard library alone."""

from __future__ import annotations

import pickle
import struct
import zlib
from pathlib import Path
from typing import Final

GIB: Final = 1 << 30
LOCAL: Final = struct.Struct("<IHHHHHIIIHH")
CENTRAL: Final = struct.Struct("<IHHHHHHIIIHHHHHII")
END: Final = struct.Struct("<IHHHHIIH")


def tiny_pickle(path: Path) -> Path:
    """Write a pickle of a few values."""
    path.write_bytes(pickle.dumps({"weights": [1.0, 2.0], "name": "tiny"}, protocol=4))
    return path


def torch_zip(path: Path, size: int) -> Path:
    """Write a torch-like checkpoint with one storage of `size` zero bytes, as a hole in the file."""
    program = pickle.dumps({"epoch": 3, "name": "large"}, protocol=2)
    storage = b"archive/data/0"
    members = [(b"archive/data.pkl", program), (b"archive/version", b"3\n")]
    directory = b""
    with path.open("wb") as stream:
        for name, data in members:
            directory += _entry(name, zlib.crc32(data), len(data), stream.tell())
            stream.write(_local(name, zlib.crc32(data), len(data)) + data)
        crc = _crc_of_zeros(size)
        directory += _entry(storage, crc, size, stream.tell())
        stream.write(_local(storage, crc, size))
        stream.seek(size, 1)
        start = stream.tell()
        stream.write(directory)
        stream.write(END.pack(0x06054B50, 0, 0, 3, 3, len(directory), start, 0))
    return path


def mixed_folder(folder: Path, files: int, pickles: int) -> Path:
    """Fill a folder with text files and, evenly among them, pickles that carry a suffix."""
    if folder.is_dir():
        return folder
    folder.mkdir(parents=True)
    every = files // pickles
    for number in range(files):
        place = folder / f"part{number % 50:02}"
        place.mkdir(exist_ok=True)
        if number % every == 0:
            value = {"number": number, "values": list(range(20))}
            (place / f"model{number}.pkl").write_bytes(pickle.dumps(value, protocol=4))
        else:
            (place / f"notes{number}.txt").write_text(f"run {number}: loss 0.{number}\n" * 20)
    return folder


def _local(name: bytes, crc: int, size: int) -> bytes:
    return LOCAL.pack(0x04034B50, 20, 0, 0, 0, 33, crc, size, size, len(name), 0) + name


def _entry(name: bytes, crc: int, size: int, offset: int) -> bytes:
    fields = (0x02014B50, 20, 20, 0, 0, 0, 33, crc, size, size, len(name), 0, 0, 0, 0, 0, offset)
    return CENTRAL.pack(*fields) + name


def _crc_of_zeros(size: int) -> int:
    chunk, crc = bytes(1 << 20), 0
    for _ in range(size >> 20):
        crc = zlib.crc32(chunk, crc)
    return zlib.crc32(bytes(size & ((1 << 20) - 1)), crc)
