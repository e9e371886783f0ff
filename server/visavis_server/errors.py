"""What stops a command, each with one sentence for the person who typed it.

CommandFailed
├── TritonMissing        the embedded Triton cannot run in this environment
├── TritonFailed         Triton ended, or was not ready in time
├── ExportFailed         the graphs could not be made
├── ModelsUnreadable     which models a repository has cannot be seen
└── PortTaken            an address that was asked for cannot be listened on
"""


class CommandFailed(Exception):
    """Root of the tree; its text is shown as it is, and the command exits with status 1."""


class TritonMissing(CommandFailed):
    """The embedded Triton cannot run in this environment."""


class TritonFailed(CommandFailed):
    """Triton ended, or was not ready in time."""


class ExportFailed(CommandFailed):
    """The graphs could not be made."""


class ModelsUnreadable(CommandFailed):
    """Which models a repository has cannot be seen, at present at least."""


class PortTaken(CommandFailed):
    """An address that was asked for cannot be listened on."""
