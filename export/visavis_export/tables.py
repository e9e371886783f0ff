"""Tables of a TOML file, held against what they are to become; what is wrong is said in the file's own words."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from typing import Any

#: Annotations of values, as a reader of TOML would call them.
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "a text"),
    "bool": ((bool,), "true or false"),
    "float": ((int, float), "a number"),
    "int | None": ((int,), "a whole number"),
}


def read_toml(data: bytes) -> dict[str, Any]:
    """The file's table.

    Raises:
        ValueError: it is no TOML; the text says in which line.
    """
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        line = len(data[: error.start].splitlines())
        raise ValueError(f"line {max(1, line)} is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        last = f"at the end, line {len(data.splitlines())}"
        raise ValueError(f"it is no TOML: {str(error).replace('at end of document', last)}") from error


def sub_table(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The table below that name.

    Raises:
        KeyError: there is none.
        ValueError: a value has that name.
    """
    found = table[name]
    if not isinstance(found, dict):
        raise ValueError(f"{name} is a table, as [{name}]")
    return found


def check_keys(table: Mapping[str, Any], kind: type, *, others: Collection[str] = ()) -> None:
    """Whether a dataclass can be made of the table.

    ``others``: further keys that its reader knows, for whoever misspells one.

    Raises:
        ValueError: a key is unknown or missing, or its value of another kind.
    """
    known = {field.name: field for field in fields(kind)}
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, [*known, *others], 1)
            raise ValueError(f"has no key {key!r}" + (f": did you mean {near[0]!r}?" if near else ""))
        types, called = _KINDS.get(str(known[key].type), ((object,), ""))
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types and object not in types):
            raise ValueError(f"{key} is {called}")
    for key, field in known.items():
        if key not in table and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"does not say its {key}")
