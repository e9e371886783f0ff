"""Which environment names are settings: a name that is none is a typing error, and may have been meant to protect."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import BaseModel

PREFIX: Final = "VISAVIS_"
#: Read by others of the project, in whose code the proxy does not look: the export, the launcher, and the tests.
_OTHERS: Final = frozenset(
    {
        *("VISAVIS_ACCEPT_LICENCE", "VISAVIS_CPU_RUNTIME", "VISAVIS_TRITON_METRICS_PORT", "VISAVIS_WORKERS"),
        "VISAVIS_MODEL_EXECUTION_LIMIT_S",
    }
)
_TESTS: Final = "VISAVIS_TEST_"


def setting_names(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[str]:
    """The name of every field, of every group, and of every field of a group, in capitals."""
    for field, info in model.model_fields.items():
        name = f"{prefix}{field.upper()}"
        yield name
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from setting_names(info.annotation, f"{name}__")


def unknown_names(model: type[BaseModel], environment: Iterable[str]) -> list[str]:
    """A clause for each name of ours that is no setting, with the setting that it may have been meant for."""
    known = {*setting_names(model), *_OTHERS}
    ours = (name for name in environment if name.upper().startswith(PREFIX))
    strangers = (name for name in ours if name.upper() not in known and not name.upper().startswith(_TESTS))
    return [_clause(name, known) for name in sorted(strangers)]


def _clause(name: str, known: Iterable[str]) -> str:
    # Without the beginning that all of them share, which would make everything alike.
    choices = sorted(other[len(PREFIX) :] for other in known)
    nearest = difflib.get_close_matches(name.upper()[len(PREFIX) :], choices, n=1)
    return f"{name} is no setting" + (f": did you mean {PREFIX}{nearest[0]}?" if nearest else "")
