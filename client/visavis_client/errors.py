"""The error tree of everything that can go wrong between a caller and the models.

VisavisError
├── PictureError                 the picture is at fault: asking again will not help
│   ├── PictureUnreadable        not an image, or a broken or truncated one
│   ├── PictureTooLarge          more pixels than the decoder's limit
│   └── RegionInvalid            the region lies outside the picture
├── TemplatesNotComparable       templates of two different models
└── EngineError                  the engine is at fault
    ├── EngineUnavailable        not reachable, not ready, or restarting
    ├── EngineBusy               a queue is full: ask again later
    ├── EngineTimeout            no answer within the deadline
    └── EngineFault              an answer nobody expected

A contract room maps every leaf of this tree in one table of its own.
"""


class VisavisError(Exception):
    """Root of the tree."""


class PictureError(VisavisError):
    """The picture is at fault: asking again will not help."""


class PictureUnreadable(PictureError):
    """Not an image, or a broken or truncated one."""


class PictureTooLarge(PictureError):
    """More pixels than the decoder's limit."""


class RegionInvalid(PictureError):
    """The region lies outside the picture, or is empty."""


class TemplatesNotComparable(VisavisError):
    """Templates of two different models, or of different lengths."""


class EngineError(VisavisError):
    """The engine is at fault, not the picture."""


class EngineUnavailable(EngineError):
    """Not reachable, not ready, or restarting."""


class EngineBusy(EngineError):
    """A queue is full: ask again later."""


class EngineTimeout(EngineError):
    """No answer within the deadline."""


class EngineFault(EngineError):
    """An answer nobody expected."""
