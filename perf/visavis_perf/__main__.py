"""``python -m visavis_perf``."""

from visavis_perf.main import main

main()
