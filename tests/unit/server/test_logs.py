"""What is written to standard error: bare JSON for requests, and one form for everything else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys, warnings
from visavis_server.logs import configure_logs
configure_logs(sys.argv[1], logging.INFO)
logging.getLogger("visavis.access").info("%s", '{"status": 200}')
logging.getLogger("visavis_proxy.state").warning("one\\ntwo of %d", 2)
logging.getLogger("httpx").info("a picture's address")
logging.getLogger("visavis_proxy.state").debug("nobody asked")
try:
    raise ValueError("broken")
except ValueError:
    logging.getLogger("x").exception("it broke")
warnings.warn("old ways")
"""


def written(form: str) -> list[str]:
    run = subprocess.run([sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, check=True)
    assert not run.stdout
    return run.stderr.splitlines()


@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_request_is_a_line_of_json_as_it_stands(form: str) -> None:
    """Nothing in front of it, and not a second time in another form."""
    lines = written(form)
    assert lines[0] == '{"status": 200}'
    assert not [line for line in lines[1:] if "200" in line]


def test_other_lines_are_plain() -> None:
    """Time, level and logger stand in front."""
    lines = written("plain")
    assert lines[1].endswith("WARNING visavis_proxy.state: one")
    assert lines[2] == "two of 2"
    assert lines[3].endswith("ERROR x: it broke")


def test_other_lines_are_json_where_that_is_set() -> None:
    """Whatever stands in the message, a line is an object."""
    access, warning, fault, of_python = map(json.loads, written("json"))
    assert access == {"status": 200}
    assert warning.pop("time").endswith("+00:00")
    assert warning == {"level": "WARNING", "logger": "visavis_proxy.state", "message": "one\ntwo of 2"}
    assert fault["message"] == "it broke"
    assert "ValueError: broken" in fault["stack"]
    assert "UserWarning: old ways" in of_python["message"]
