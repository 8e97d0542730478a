"""The exceptions whose text is for the user, and how a text is kept on one line."""

import re

_BREAKS_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class UserError(Exception):
    """A problem that the user can mend. Its message is one line: where, what was wanted, what was found."""

    def __str__(self) -> str:
        return escaped(super().__str__())


class NoValue(UserError):
    """A metric has no value for this signal, though the signal itself is sound; another metric may have one."""


def escaped(text: str) -> str:
    """Put a text on one line that can be printed.

    Control characters, line breaks and bytes that are not UTF-8, all of which a file's name may have, become backslash
    escapes: a line break becomes a backslash and an n.

    Args:
        text: any text.

    Returns:
        The text on one line.
    """
    return _BREAKS_A_LINE.sub(lambda found: _escape(found[0]), text)


def _escape(char: str) -> str:
    byte = ord(char) - 0xDC00  # how Python holds a byte of a name that is not UTF-8
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else char.encode("unicode_escape").decode()
