"""``python -m visavis_accuracy``."""

from visavis_accuracy.main import main

main()
