"""As many instances of each model as a machine's cores can use, written into a repository's configurations.

For a Triton that ``visavis serve`` does not start, such as a container's: Triton cannot say "one for each core". Where
a configuration has the parameter ``instances_per_core``, its count is set by that; one that has not stays as it is.
``visavis serve`` does the same to the copy that its own Triton is given (``visavis_server.placing``).
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from visavis_export.errors import RepositoryUnwritable
from visavis_export.repository import RECORD, Repository

#: As in visavis_server.placing: a second request never waits for the first.
AT_LEAST = 2
_PER_CORE = re.compile(rb'key:\s*"instances_per_core"\s*,?\s*value:?\s*\{\s*string_value:\s*"([^"]*)"')
_COUNT = re.compile(rb"(instance_group\s*\[\s*\{[^}]*?\bcount:\s*)(\d+)")


def set_instances(repository: Repository, cores: int) -> tuple[str, ...]:
    """Write the counts, all together; returns the names of the configurations that say something else now.

    Raises:
        RepositoryUnwritable: it holds no graphs yet, cannot be written, or a configuration is not written like ours.
    """
    record = repository.read(RECORD)
    if record is None:
        raise RepositoryUnwritable(f"{repository.root} holds no models yet: export them first.")
    changed: dict[str, bytes] = {}
    for path in sorted(repository.root.glob("*/**/*.pbtxt")):
        name = path.relative_to(repository.root).as_posix()
        data = repository.read(name) or b""
        adapted = _with_count(data, cores, path)
        if adapted != data:
            changed[name] = adapted
    if changed:
        repository.install(changed, record)
    return tuple(changed)


def _with_count(data: bytes, cores: int, path: Path) -> bytes:
    lines = b"\n".join(line for line in data.splitlines() if not line.lstrip().startswith(b"#"))
    asked = _PER_CORE.search(lines)
    if asked is None:
        return data
    try:
        count = max(AT_LEAST, math.ceil(float(asked[1]) * cores))
    except (ValueError, OverflowError):
        text = asked[1].decode("utf-8", "replace")
        raise RepositoryUnwritable(f"{path}: parameter instances_per_core: {text!r} is not a number.") from None
    adapted, found = _COUNT.subn(rb"\g<1>%d" % count, data)
    if found != 1:
        raise RepositoryUnwritable(
            f"{path} does not say once: instance_group [ {{ kind: KIND_CPU, count: {count} }} ]."
        )
    return adapted
