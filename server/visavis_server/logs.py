"""What this service's processes write to standard error: the access log as bare JSON, all else plain or as JSON too."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from visavis_proxy.observation import ACCESS
from visavis_proxy.settings import LogFormat

_PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"
#: Libraries that say more than an operator wants to know.
_CHATTY = ("httpx", "uvicorn.error")


class JsonFormatter(logging.Formatter):
    """One object a line, whatever the message is."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger and message, and the exception's stack where there is one."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["stack"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logs(form: LogFormat, level: int) -> None:
    """Set up the logs of this process, once.

    ``level``: of whatever is no line of the access log.
    """
    logging.basicConfig(
        level=level, handlers=[_handler(JsonFormatter() if form == "json" else logging.Formatter(_PLAIN))]
    )
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    access = logging.getLogger(ACCESS)
    access.handlers = [_handler(logging.Formatter("%(message)s"))]
    access.propagate = False


def _handler(formatter: logging.Formatter) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    return handler
