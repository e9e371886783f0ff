"""How a program of ours starts another one: by its module."""

from __future__ import annotations

import sys


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line of a module and its arguments.

    With ``-P``, without which Python looks for every module in the current folder first, and runs what lies there.
    """
    return [sys.executable, "-P", "-m", module, *arguments]
