"""What is inside one member: one module a format."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Protocol

from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors.on_demand import (
    MACH_O,
    MESSAGE_PACK_MAPS,
    TORCH7_TAGS,
    OnDemand,
    begins,
    code_like,
    compressed_like,
    counted,
    digest_named,
    either,
    ends,
    holds,
    named,
    object_follows,
    odd_ends,
    pickle_like,
    tar_like,
    xgboost_like,
    zip_like,
)
from supplyguard.inspectors.shortlist import Shortlist
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget


class Inspector(Protocol):
    """A module that understands one format. Every inspector that recognises a member is run."""

    @property
    def FORMAT(self) -> str:  # noqa: N802 - a module constant
        """The stem of its rules, tests and fixtures."""
        ...

    def recognizes(self, probe: Probe) -> bool:
        """Whether the bytes are of this format; the name counts only where bytes cannot tell."""
        ...

    def inspect(self, member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
        """Yield what is there; raises SupplyguardError when it cannot go on."""
        ...


INSPECTORS: tuple[Inspector, ...] = (
    OnDemand("pickle_stream", pickle_like),
    OnDemand("zip_archive", zip_like),
    OnDemand("torch_zip", zip_like),
    OnDemand("torchscript", zip_like),
    OnDemand("torch_legacy", holds(bytes.fromhex("6cfc9c46f9206aa85019"), within=1024)),
    OnDemand("safetensors_file", object_follows),
    OnDemand("compressed", compressed_like),
    OnDemand("keras_h5", either(holds(b"\x89HDF\r\n"), named(".h5", ".hdf5", ".hdf"))),
    OnDemand("keras_zip", either(named(".json"), holds(b'"class_name"'))),
    OnDemand("saved_model", either(named(".pb", ".pbtxt", ".meta"), begins(b"\x08", b"\n", b"\x12", b'"'))),
    OnDemand("tf_checkpoint", either(named("checkpoint"), ends(bytes.fromhex("57fb808b247547db")))),
    OnDemand("tflite", begins(b"TFL3", at=4)),
    OnDemand("lfs_pointer", begins(b"version http")),
    OnDemand("tar_archive", tar_like),
    OnDemand("numpy_array", begins(b"\x93NUMPY")),
    OnDemand("onnx", either(begins(b"\x08"), named(".onnx"))),
    OnDemand("hub_repository", named(".json")),
    OnDemand("yaml_document", named(".yaml", ".yml", "mlmodel")),
    OnDemand("chat_template", named(".jinja", ".jinja2", ".j2")),
    OnDemand("gguf", begins(b"GGUF")),
    OnDemand("executable", either(begins(b"\x7fELF", b"MZ", b"jartsr", *MACH_O), named(".args"))),
    OnDemand("ggml", begins(b"lmgg", b"fmgg", b"tjgg", b"algg")),
    OnDemand("tensorrt", either(begins(b"ptrt", b"ftrt"), begins(b"{", at=4))),
    OnDemand(
        "orbax_checkpoint",
        either(named("_metadata", "_sharding", ".zarray", ".zmetadata", "zarr.json"), begins(b"\x0c\xdb:*")),
    ),
    OnDemand(
        "paddle_program",
        either(
            named(".pdmodel", "__model__"), holds(b'"base_code"'), holds(b"\x08\0\x10\xff\xff\xff", within=32)
        ),
    ),
    OnDemand("paddle_params", either(named(".pdiparams"), begins(bytes(16)))),
    OnDemand("torch7", either(begins(*TORCH7_TAGS), named(".t7", ".t7b", ".t7a"))),
    OnDemand("mlir_bytecode", either(begins(b"ML\xefR"), named(".mlir"))),
    OnDemand(
        "native_container",
        either(
            begins(b"RKNN\0", b"CYPTRKNN", b"7767517", b"\xdd\x85\x76\0", b"B\0C\0N\0", b"\x08"),
            named(".mnn"),
        ),
    ),
    OnDemand(
        "caffe_network",
        either(
            named(".prototxt", ".caffemodel", "_net.pb", "_net.pbtxt"),
            holds(b"python_param"),
            holds(b"\xa2\x06", within=512),
        ),
    ),
    OnDemand("model_code", code_like),
    OnDemand("notebook_document", named(".ipynb")),
    OnDemand("csv_table", named(".csv", ".tsv")),
    OnDemand("tfrecord", begins(b"\0\0\0\0", at=4)),
    OnDemand("sqlite_database", begins(b"SQLite format 3")),
    OnDemand("image_file", either(begins(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF"), named(".svg"))),
    OnDemand("json_lines", named(".jsonl", ".ndjson", ".jsonlines")),
    OnDemand("fasttext_model", begins(b"\xba\x16O/")),
    OnDemand("word2vec_binary", counted),
    OnDemand("identity", odd_ends),
    OnDemand("parquet", begins(b"PAR1", b"PARE")),
    OnDemand("arrow_ipc", begins(b"ARROW1", b"\xff\xff\xff\xff")),
    OnDemand("bento_config", named("bento.yaml", "bentofile.yaml")),
    OnDemand("torchserve_archive", named("manifest.json")),
    OnDemand("spacy_config", named(".cfg")),
    OnDemand("triton_config", named("config.pbtxt")),
    OnDemand("oci_layout", either(digest_named, named("modelfile"), holds(b'"mediaType"'))),
    OnDemand("nemo_archive", tar_like),
    OnDemand("mlflow_model", named("mlmodel", "mlproject", "python_env.yaml", "conda.yaml")),
    OnDemand("skops_file", either(zip_like, named(".skops"))),
    OnDemand("r_object", begins(b"X\n\0\0\0", b"A\n", b"B\n", b"RDX", b"RDA", b"RDB")),
    OnDemand("torch_export", zip_like),
    OnDemand("stable_baselines", either(named("data"), holds(b":serialized:"))),
    OnDemand("torch_distributed", named(".metadata")),
    OnDemand("xgboost_model", xgboost_like),
    OnDemand("lightgbm_text", begins(b"tree\n", b"tree\r\n")),
    OnDemand(
        "openvino_ir", holds(b"<net", b"DOCTYPE net", b"CustomLayer", b"n\0e\0t\0", b"C\0u\0s\0t\0o\0m\0L\0")
    ),
    OnDemand("pmml", either(holds(b"PMML", b"P\0M\0M\0L\0"), named(".pmml"))),
    OnDemand("coreml", either(begins(b"\x08"), named(".mlmodel", "manifest.json"))),
    OnDemand("catboost_model", begins(b"CBM1")),
    OnDemand("executorch", begins(b"ET", b"FT01", at=4)),
    OnDemand("flax_msgpack", either(begins(*MESSAGE_PACK_MAPS), named(".msgpack", ".flax", ".orbax"))),
    OnDemand("mxnet", either(begins(b"\x12\x01\0\0"), holds(b'"nodes"'))),
    OnDemand("seven_zip", begins(b"7z\xbc\xaf", b"Rar!", b"MSCF", b"!<arch>")),
)
"""Each is imported when a file passes its first look. A new one is a line here, in the order of work."""


def recognising(inspectors: tuple[Inspector, ...], probe: Probe) -> list[Inspector]:
    """Give those of `inspectors` that recognise a file, in their order."""
    candidates = _shortlist(inspectors).candidates(probe)
    return [each for each in candidates if each.recognizes(probe)]


@cache
def _shortlist(inspectors: tuple[Inspector, ...]) -> Shortlist[Inspector]:
    return Shortlist((each, each.first_look if isinstance(each, OnDemand) else None) for each in inspectors)
