"""The model repository as a variant has it: a copy, with its configurations written otherwise."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from visavis_perf.places import REPOSITORY
from visavis_perf.triton_statistics import ENSEMBLE
from visavis_perf.variants import FILES, Edit, Here, Variant, VariantInvalid

#: For the launcher, which puts as many instances there, each with a priority; without it the count holds.
_PER_CORE = "instances_per_core"
#: Of the ensemble: where the decoded picture lies.
_PLACE = "place"


def lay_out(variant: Variant, here: Here, target: Path, source: Path = REPOSITORY) -> None:
    """Copy the repository and change it.

    Raises:
        VariantInvalid: the variant names a model that is not there, or changes nothing.
    """
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".export*"))
    if variant.overlay:
        shutil.copytree(FILES / variant.overlay, target, dirs_exist_ok=True)
    for model, edit in variant.edits.items():
        _rewrite(target / model / "configs" / "cpu.pbtxt", variant, partial(edited, edit=edit, here=here))
    if variant.hand_on:
        _rewrite(target / ENSEMBLE / "config.pbtxt", variant, partial(handing_on, what=variant.hand_on))


def _rewrite(path: Path, variant: Variant, change: Callable[[str], str]) -> None:
    if not path.is_file():
        raise VariantInvalid(f"{variant.name}: the repository has no {path.parent.name}/{path.name}")
    before = path.read_text("utf-8")
    after = change(before)
    if text_format.Parse(after, ModelConfig()) == text_format.Parse(before, ModelConfig()):
        raise VariantInvalid(f"{variant.name}: {path} says so already, so there is nothing to compare")
    path.write_text(after, "utf-8")


def edited(text: str, edit: Edit, here: Here) -> str:
    """A configuration with what the edit says."""
    config = text_format.Parse(text, ModelConfig())
    if edit.count is not None:
        count = int(here.filled(str(edit.count)))
        if _PER_CORE in config.parameters:
            del config.parameters[_PER_CORE]
        del config.instance_group[:]
        config.instance_group.append(ModelInstanceGroup(kind=ModelInstanceGroup.KIND_CPU, count=count))
    if edit.instances_per_core is not None:
        config.parameters[_PER_CORE].string_value = str(edit.instances_per_core)
    for name, value in edit.parameters.items():
        config.parameters[name].string_value = here.filled(value)
    if edit.preferred_batch_size is not None:
        config.dynamic_batching.preferred_batch_size[:] = edit.preferred_batch_size
    if edit.max_queue_delay_us is not None:
        config.dynamic_batching.max_queue_delay_microseconds = edit.max_queue_delay_us
    return _written(config)


def handing_on(text: str, what: str) -> str:
    """The ensemble whose decoder hands on its picture as a tensor, or nothing, and not the place where it lies."""
    config = text_format.Parse(text, ModelConfig())
    for step in config.ensemble_scheduling.step:
        for names in (step.input_map, step.output_map):
            # Asked for a key that it has not, such a map makes one.
            if _PLACE in names:
                del names[_PLACE]
                if what == "picture":
                    names["picture"] = "picture"
    return _written(config)


def _written(config: ModelConfig) -> str:
    """With lists in brackets, as the export looks for them."""
    return str(text_format.MessageToString(config, use_short_repeated_primitives=True))
