# `installation.py` lays the file under this name beside Triton's own modules for Python models.
from visavis_server.backends.time_limit import TimeLimit as TimeLimit
