"""The keys that sign a log's checkpoints: made once, kept in a file that nobody else may read, never in the log.

A key file has one private key a line, in the form of `events.tlog` (`PRIVATE+KEY+name+hash+base64`), the oldest first.
All of a file have one name, which is the log's name in its checkpoints, its *origin* (C2SP tlog-checkpoint). To change
a key, a second one is added; as long as both are there, every checkpoint carries a signature of each, so that whoever
knows the old key learns of the new one from what the old one signs. Then the old one is retired.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Final
from urllib.parse import quote

from events.errors import Invalid
from events.tlog import TlogError, new_key, parse_vkey, sign_note, vkey_of
from events.whole_file import sync_to_disk, write_whole

NAME_LIMIT: Final = 200
"""The most characters of a log's name as a file has it: `/`, `:` and `@` take three."""

_NAME: Final = re.compile(r"[A-Za-z0-9._~/:@-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The private keys of one log, oldest first. Its `repr` can be shown to anyone."""

    name: str
    private: tuple[str, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str, where: str) -> Keys:
        """Read private keys, divided by white space.

        Raises `Invalid` for what is no key, without repeating it, and for keys of several names.
        """
        private = tuple(text.split())
        try:
            names = {parse_vkey(vkey_of(key)).name for key in private}
        except TlogError as error:
            raise Invalid(f"{where} holds something that is no private key: make one with `verifier init`") from error
        if len(names) != 1:
            raise Invalid(f"{where} must hold at least one private key, and all of one name")
        return cls(name=names.pop(), private=private)

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The public keys, oldest first."""
        return tuple(vkey_of(key) for key in self.private)

    @property
    def text(self) -> bytes:
        """What stands in a key file."""
        return "".join(f"{key}\n" for key in self.private).encode()

    def sign(self, text: str) -> bytes:
        """Return the text as a note signed with every key (C2SP signed-note)."""
        return sign_note(text, list(self.private))


def check_name(name: str) -> None:
    """Check that a log may have this name: a URL without a scheme, such as `example.org/newsroom`. Raises `Invalid`."""
    if not _NAME.fullmatch(name) or len(quote(name, safe="")) > NAME_LIMIT:
        raise Invalid(
            f"{name!r} can't be the name of a log: use letters, digits and -._~/:@ only, such as example.org/newsroom,"
            f" {NAME_LIMIT} characters at the most, of which / : @ count three times"
        )


def check_private(path: Path) -> None:
    """Check that nobody but its owner may read a file with a key. Raises `Invalid`, `FileNotFoundError` for none."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise Invalid(f"others may read the key in {path} (its mode is {mode:03o}): run `chmod 600 {path}`")


def load_keys(path: Path) -> Keys | None:
    """Read a key file, `None` where there is none.

    Raises `Invalid` for a file that others may read: whoever reads it can sign in this log's name.
    """
    try:
        with path.open() as file:
            check_private(path)
            return Keys.parse(file.read(), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise Invalid(f"{path} can't be read: run this as the user who made the key") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} is not a key file: move it away, and make a key with `verifier init`") from error


def make_keys(path: Path, name: str) -> Keys:
    """Make a key of this name in a new file, on the disk before it returns.

    Raises `Invalid` where there is a file, one made at the same time included: a key is never replaced, it is rotated.
    """
    check_name(name)
    keys = Keys(name=name, private=(new_key(name),))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{token_hex(8)}")
    write_whole(part, keys.text)
    try:
        os.link(part, path)  # which, unlike renaming, replaces nothing
    except FileExistsError as error:
        raise Invalid(f"there is a key in {path} already: use it, or add one with `verifier init --rotate`") from error
    finally:
        part.unlink()
    sync_to_disk(path.parent)
    return keys


def rotate_keys(path: Path) -> Keys:
    """Add a key to a file. Raises `Invalid` where there is none yet, and where there are two already."""
    with _changing(path) as keys:
        if len(keys.private) > 1:
            raise Invalid(f"{path} has two keys already: retire the old one first, with `verifier init --retire`")
        both = Keys(name=keys.name, private=(*keys.private, new_key(keys.name)))
        write_whole(path, both.text)
    return both


def retire_keys(path: Path) -> Keys:
    """Remove all keys of a file but the newest. Raises `Invalid` where there is only one."""
    with _changing(path) as keys:
        if len(keys.private) == 1:
            raise Invalid(f"{path} has one key only: add its successor first, with `verifier init --rotate`")
        newest = Keys(name=keys.name, private=keys.private[-1:])
        write_whole(path, newest.text)
    return newest


@contextmanager
def _changing(path: Path) -> Iterator[Keys]:
    """Read a key file that is to be changed; whoever else would change one in that folder waits until the end."""
    missing = Invalid(f"there is no key in {path} yet: make one with `verifier init`")
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise missing from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        keys = load_keys(path)
        if keys is None:
            raise missing
        yield keys
    finally:
        os.close(folder)
