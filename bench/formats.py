"""A large file of each format beside a small one, and a mixed folder beside modelaudit.

`python bench/formats.py --modelaudit PATH`

Large files are holes on disk, so that what is measured is our work and not the disk's. The mixed folder is
the corpus under fixtures/, copied until there are 2,000 files. modelaudit brings some 80 packages: give its
program with --modelaudit PATH, from an environment of its own, or the comparison is left out and said so.
Prints a line each; exits with 1 when a promise is not kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent.parent))  # the fixtures' writers of raw bytes

from measure import Run, compare, program, run

from fixtures import raw_hdf5
from fixtures.make_gguf import gguf, tensor
from fixtures.raw_protobuf import message, varint

MIB: Final = 1 << 20
SCAN: Final = (program("supplyguard"), "scan", "--offline", "--isolated", "--quiet")
ANY_VERDICT: Final = frozenset({0, 1, 3})
MOST_RATIO: Final = 1.5
MOST_MEMORY: Final = 100
MIXED: Final = 2_000
LEAST_TIMES: Final = 20.0


def with_hole(path: Path, head: bytes, hole: int, tail: bytes = b"") -> Path:
    """Write `head`, `hole` bytes that take no room on disk, and `tail`."""
    with path.open("wb") as file:
        file.write(head)
        file.seek(len(head) + hole)
        file.write(tail)
        file.truncate()
    return path


def safetensors(path: Path, size: int) -> Path:
    """Write one tensor of `size` bytes."""
    entry = {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}
    header = json.dumps({"weight": entry}).encode()
    return with_hole(path, struct.pack("<Q", len(header)) + header, size)


def gguf_model(path: Path, size: int) -> Path:
    """Write one F32 tensor of `size` bytes."""
    return with_hole(path, gguf([], [tensor(b"w", (size // 4,))], data=b""), size)


def onnx(path: Path, size: int) -> Path:
    """Write a graph whose one initializer has `size` bytes of raw data."""
    entry = message((1, size // 4), (2, 1), (8, "w")) + varint(9 << 3 | 2) + varint(size)
    initializer = varint(5 << 3 | 2) + varint(len(entry) + size) + entry
    graph = message((1, [(1, "w"), (2, "y"), (4, "Relu")]), (2, "g"))
    body = varint(7 << 3 | 2) + varint(len(graph) + len(initializer) + size) + graph + initializer
    return with_hole(path, message((1, 10), (8, [(1, ""), (2, 17)])) + body, size)


def hdf5(path: Path, size: int) -> Path:
    """Write one contiguous dataset of `size` bytes."""

    def file(address: int) -> bytes:
        layout = raw_hdf5.contiguous(address, size)
        return raw_hdf5.file([], [("kernel", raw_hdf5.dataset(layout, shape=(size // 4,)))])

    head = bytearray(file(len(file(0))))
    end = len(head) + size
    head[40:48] = struct.pack("<Q", end)  # the superblock's end-of-file address
    return with_hole(path, bytes(head), size)


FORMATS: Final[tuple[tuple[str, str, Callable[[Path, int], Path], int], ...]] = (
    ("safetensors, 2 GB", "model.safetensors", safetensors, 2048 * MIB - 4 * MIB),
    ("GGUF, 2 GB", "model.gguf", gguf_model, 2048 * MIB - 4 * MIB),
    ("ONNX, 500 MB", "model.onnx", onnx, 500 * MIB),
    ("HDF5, 500 MB", "model.h5", hdf5, 500 * MIB),
)


def mixed(folder: Path, count: int) -> Path:
    """Copy files of the corpus until there are `count`."""
    corpus = Path(__file__).parent.parent / "fixtures"
    files = sorted(
        path for path in corpus.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc", ".md"}
    )
    for number in range(count):
        source = files[number % len(files)]
        place = folder / f"part{number // 100:02}"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place / f"{number:04}_{source.name}")
    return folder


def proportion(folder: Path) -> bool:
    """Compare a large file of each format with one of 1 MB; gives whether all bounds hold."""
    held = True
    for name, file, make, size in FORMATS:
        (folder / "large").mkdir(exist_ok=True)
        (folder / "small").mkdir(exist_ok=True)
        large, small = make(folder / "large" / file, size), make(folder / "small" / file, MIB)
        result = compare(f"{name} / 1 MB", (*SCAN, str(large)), (*SCAN, str(small)), at_most=MOST_RATIO)
        print(result)
        held &= result.ratio <= MOST_RATIO and result.ours.peak <= MOST_MEMORY
    return held


def beside(modelaudit: str, folder: Path) -> bool:
    """Compare the mixed folder with modelaudit, once each: it takes minutes."""
    place = str(mixed(folder / "mixed", MIXED))
    ours = run((*SCAN, place), ANY_VERDICT)
    ours = run((*SCAN, place), ANY_VERDICT)
    os.environ["PROMPTFOO_DISABLE_TELEMETRY"] = os.environ["NO_ANALYTICS"] = "1"
    theirs: Run = run((modelaudit, "scan", place), frozenset(range(256)))
    times = theirs.seconds / ours.seconds
    print(
        f"{MIXED:,} mixed files: {ours.seconds:.2f} s, modelaudit {theirs.seconds:.2f} s, {times:.1f} times"
    )
    return times >= LEAST_TIMES


def main() -> None:
    """Print all comparisons."""
    parser = argparse.ArgumentParser(description="large files, and a mixed folder")
    parser.add_argument("--modelaudit", help="path of modelaudit's program")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["SUPPLYGUARD_CACHE_DIR"] = f"{name}/cache"
        held = proportion(Path(name))
        if chosen.modelaudit:
            held &= beside(chosen.modelaudit, Path(name))
        else:
            print("modelaudit: left out, no --modelaudit PATH")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
