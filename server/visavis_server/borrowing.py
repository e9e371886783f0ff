"""A Triton for one command: the one named, that of the service that runs here, or one's own for so long.

The service's is borrowed only if it has the command's models: thresholds made or read for others would be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from visavis_server.device import Device
from visavis_server.reaching import wait_for_listener
from visavis_server.serve import export
from visavis_server.state import STATE_FILE, ServingState, make_data_dir, models_digest
from visavis_server.triton import EmbeddedTriton


@contextmanager
def borrowed_triton(
    address: str | None,
    *,
    repository: Path,
    data_dir: Path,
    device: Device,
    check: Callable[[Path], object] = lambda _: None,
) -> Iterator[str]:
    """Where a Triton is ready, ``host:port`` (gRPC) or ``http://host:port``; one's own is gone afterwards.

    ``check`` is asked about the repository before a Triton is waited for or started, and after the export.

    Raises:
        CommandFailed: there is none and none can be started.
    """
    running = ServingState.read(data_dir / STATE_FILE)
    if address is not None:
        check(repository)
        wait_for_listener(address)
        yield address
    elif running is not None and running.models == models_digest(repository):
        check(repository)
        yield running.triton.address
    else:
        make_data_dir(data_dir)
        export(repository, data_dir)
        check(repository)
        log = data_dir / "triton-command.log"
        log.unlink(missing_ok=True)
        with EmbeddedTriton(repository, log=log, device=device) as triton:
            yield triton.grpc_address
