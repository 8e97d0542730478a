"""All that is wrong with the folders that the user named, told at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from wesep_mix.errors import UserError


@dataclass
class Problems:
    """Gathers problems, one line each, with advice that several of them may share."""

    lines: list[str] = field(default_factory=list)
    advice: dict[str, None] = field(default_factory=dict)  # in the order of the problems, each once

    def add(self, line: str, *advice: str) -> None:
        self.lines.append(line)
        self.advice |= dict.fromkeys(advice)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """A UserError inside is one more problem, and what follows inside is skipped."""
        try:
            yield
        except UserError as err:
            self.add(str(err))

    def refuse(self) -> None:
        """Raises: UserError when there is a problem; several are written to stderr first, one line each."""
        if not self.lines:
            return
        advice = "".join(f"; {line}" for line in self.advice)
        if len(self.lines) == 1:
            raise UserError(self.lines[0] + advice)
        for line in self.lines:
            print(f"problem: {line}", file=sys.stderr)
        raise UserError(f"{len(self.lines)} problems with the corpus, each on a line above{advice}")
