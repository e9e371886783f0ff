"""The option ``--data-dir``, the same for every command that has it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import platformdirs
import typer

USUAL_DATA_DIR: Final = platformdirs.user_data_path("visavis")
DataDir = Annotated[Path, typer.Option(envvar="VISAVIS_DATA_DIR", help="Keys, state and logs.")]
