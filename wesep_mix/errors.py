"""The one exception that is meant for the user's eyes."""


class UserError(Exception):
    """A problem that the user can mend; its message is one line: where, what was wanted, what was found."""
