"""The root of Sluice's errors.

SluiceError
├── ConfigurationError   a file, Secret or setting is wrong: a person must change it
├── DependencyError      something outside does not answer: it is tried again
└── RecordTooLargeError  the broker takes no message of that size: to try again does not help
"""


class SluiceError(Exception):
    """Anything that Sluice itself has to say went wrong."""


class ConfigurationError(SluiceError):
    """Something given by a person is wrong; the message says where and what fits."""


class RecordTooLargeError(SluiceError):
    """A topic takes no message of that size, alone as it is; the message says of which."""


class DependencyError(SluiceError):
    """A broker, database, Redis or API does not answer; trying again later may help.

    ``reason`` is a CamelCase word for a condition, such as ``DatabaseUnreachable``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
