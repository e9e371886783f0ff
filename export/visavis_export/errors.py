"""What can go wrong in an export. Every text is one sentence for the person who typed the command."""


class ExportError(Exception):
    """The export cannot go on; the model repository is as it was."""


class PackInvalid(ExportError):
    """A pack or its lock entry is missing or malformed."""


class WeightsUnavailable(ExportError):
    """The weights could not be had: no network, no such file, unreadable folder, full disk."""


class WeightsWrong(ExportError):
    """A file has another digest than the pinned one."""


class LicenceNotAccepted(ExportError):
    """The pack's weights come under terms that its user has not agreed to."""


class NetworkUnexpected(ExportError):
    """A network is not built the way its family's recipe expects."""


class VerificationFailed(ExportError):
    """Our graphs do not do what the originals do."""


class RepositoryUnwritable(ExportError):
    """The model repository cannot be read, locked or written."""


class ParityOutsideLimits(Exception):
    """The parity table was measured and printed, but a figure lies outside its limit."""
