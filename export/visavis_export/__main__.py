"""``python -m visavis_export``, which ``visavis export`` runs."""

import sys

#: Packages of the extra `export` alone, by the names that they are imported by.
_OF_THE_EXTRA = {"cv2", "onnx", "onnxruntime", "PIL", "rich"}

try:
    from visavis_export.main import app

    app(prog_name="visavis export")
except ModuleNotFoundError as error:
    if error.name not in _OF_THE_EXTRA:
        raise
    hint = "in the project's folder: pip install '.[export]'"
    sys.exit(f"error: {error.name} is missing: install the extra `export` ({hint})")
