"""``python -m visavis_server`` is the command ``visavis``."""

from visavis_server.main import main

main()
