"""What this service's processes write to standard error: the access log as bare JSON, all else plain or as JSON too."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from visavis_proxy.observation import ACCESS
from visavis_proxy.settings import LogFormat
from visavis_server.line_writing import LineHandler

_STANDARD_ERROR = 2
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


class _LineFormatter(logging.Formatter):
    """A line of the access log as it stands, any other as is set."""

    def __init__(self, others: logging.Formatter) -> None:
        super().__init__()
        self._others = others

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return record.getMessage() if record.name == ACCESS else self._others.format(record)


def configure_logs(form: LogFormat, level: int) -> LineHandler:
    """Set up the logs of this process, once; Python's warnings are among them.

    ``level``: of whatever is no line of the access log.
    """
    others = JsonFormatter() if form == "json" else logging.Formatter(_PLAIN)
    handler = LineHandler(_STANDARD_ERROR, formatter=_LineFormatter(others))
    logging.basicConfig(level=level, handlers=[handler])
    logging.captureWarnings(True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    return handler
