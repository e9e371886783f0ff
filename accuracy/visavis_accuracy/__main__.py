"""``python -m visavis_accuracy``."""

import sys

#: Packages of the extra `accuracy` alone, by the names that they are imported by.
_OF_THE_EXTRA = {"cv2", "matplotlib", "PIL", "rich", "scipy"}

try:
    from visavis_accuracy.main import main
except ModuleNotFoundError as error:
    if error.name not in _OF_THE_EXTRA:
        raise
    hint = "in the project's folder: pip install '.[accuracy]'"
    sys.exit(f"error: {error.name} is missing: install the extra `accuracy` ({hint})")

main()
