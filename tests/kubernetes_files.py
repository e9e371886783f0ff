"""The Kubernetes manifests as kustomize puts them together, as far as ours ask it to."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from deploying import DEPLOY

FOLDER = DEPLOY / "kubernetes"
FLAVOURS = ("gpu", "cpu")


def rendered(flavour: str) -> dict[str, dict[str, Any]]:
    """The objects by kind; there is one of each."""
    folder = FOLDER / flavour
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    objects: dict[str, dict[str, Any]] = {}
    for resource in kustomization["resources"]:
        if (folder / resource).is_dir():
            objects |= rendered((folder / resource).resolve().name)
        else:
            objects |= {each["kind"]: each for each in yaml.safe_load_all((folder / resource).read_text())}
    for generated in kustomization.get("configMapGenerator", []):
        data = dict(literal.split("=", 1) for literal in generated["literals"])
        objects["ConfigMap"] = {"kind": "ConfigMap", "metadata": {"name": generated["name"]}, "data": data}
    for patch in kustomization.get("patches", []):
        target = objects[patch["target"]["kind"]]
        assert target["metadata"]["name"] == patch["target"]["name"]
        for step in yaml.safe_load(patch["patch"]):
            _apply(step, target)
    for image in kustomization.get("images", []):
        for container in containers(objects):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    return copy.deepcopy(objects)


def pod(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment"]["spec"]["template"]["spec"]
    return spec


def containers(objects: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """In the order in which they are started."""
    return [*pod(objects)["initContainers"], *pod(objects)["containers"]]


def container(objects: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = (each for each in containers(objects) if each["name"] == name)
    return found


def _apply(step: dict[str, Any], target: Any) -> None:
    """One operation of RFC 6902."""
    *way, last = (part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:])
    for part in way:
        target = target[int(part)] if isinstance(target, list) else target[part]
    if step["op"] == "test":
        assert target[last] == step["value"], step
    elif step["op"] == "remove":
        del target[last]
    elif step["op"] == "add" and last == "-":
        target.append(step["value"])
    elif step["op"] == "replace":
        assert last in target, step
        target[last] = step["value"]
    else:
        raise NotImplementedError(step)
