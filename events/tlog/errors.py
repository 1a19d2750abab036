"""What can go wrong with the formats of a transparency log.

TlogError
├── Malformed       these bytes, numbers or texts are not what they should be: get them again from where they came
├── Unverified      well formed, and the proof or signature does not hold: do not trust it, and keep it as evidence
│   └── Unsatisfied nothing in it is wrong, and too few of those you trust have signed: ask for more signatures
└── Unsupported     the algorithm is not in the installed `cryptography`: install a newer one
"""

from __future__ import annotations


class TlogError(Exception):
    """Any refusal of this package: the one error that its functions raise, whatever they are given."""


class Malformed(TlogError):
    """The input does not have the form that its specification gives it."""


class Unverified(TlogError):
    """The input is well formed, and a proof or a signature in it does not hold."""


class Unsatisfied(Unverified):
    """The signatures hold, and they are not those that were asked for."""


class Unsupported(TlogError):
    """The signature algorithm is not available here."""
