"""Verify a receipt without the log and without the product: python verify-a-receipt.py RECEIPT VKEY

VKEY is the log's public key, as you got it from somebody you trust and not from the receipt. Needs Python and the
package `cryptography`. Prints what the receipt proves and ends with 0, or says what is wrong and ends with 1.
"""

import json
import re
import sys
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def check(holds: object, wrong: str) -> None:
    if not holds:
        sys.exit(f"NOT VERIFIED: {wrong}")


def signed_by(vkey: str, note: str) -> list[str]:
    """Return the name, size and root in a checkpoint that this key has signed (C2SP signed-note, tlog-checkpoint)."""
    name, key_id, key = vkey.split("+", 2)
    named = name.encode() + b"\n" + b64decode(key, validate=True)
    check(named[-33:-32] == b"\1" and sha256(named).hexdigest()[:8] == key_id, "that is no vkey of a log")
    check(re.fullmatch(f"{re.escape(name)}\n(?s:.+)\n\n(— [^ \n]+ [^ \n]+\n)+", note), f"no checkpoint of {name}")
    text, _, signatures = note.rpartition("\n\n")
    for signed in [b64decode(line.split(" ")[2], validate=True) for line in signatures[:-1].split("\n")]:
        if signed[:4].hex() == key_id and f" {name} {b64encode(signed).decode()}\n" in signatures:
            Ed25519PublicKey.from_public_bytes(named[-32:]).verify(signed[4:], f"{text}\n".encode())
            return text.split("\n")[:3]
    sys.exit(f"NOT VERIFIED: {name} has not signed the checkpoint with this key")


def root_by(at: int, size: int, leaf: str, proof: list[str]) -> bytes:
    """Return the root to which a proof leads from a leaf (RFC 6962, sections 2.1 and 2.1.1)."""
    check(type(at) is type(size) is int and 0 <= at < size, f"there is no place {at} in a tree of {size}")
    check(bool(proof) == (size > 1), "a proof is too long or too short")
    if size == 1:
        return sha256(b"\0" + leaf.encode()).digest()
    half, sibling = 1 << (size - 1).bit_length() - 1, b64decode(proof[-1], validate=True)
    check(b64encode(sibling).decode() == proof[-1], "a proof is not written as base64 is")
    if at < half:
        return sha256(b"\1" + root_by(at, half, leaf, proof[:-1]) + sibling).digest()
    return sha256(b"\1" + sibling + root_by(at - half, size - half, leaf, proof[:-1])).digest()


sys.excepthook = lambda kind, error, _: print(f"NOT VERIFIED: {kind.__name__}: {error}", file=sys.stderr)
check(len(sys.argv) == 3 and sys.argv[2].count("+") > 1, "give two things, RECEIPT and VKEY, which is NAME+ID+KEY")
receipt, vkey = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2]
(name, size, root), where = signed_by(vkey, receipt["checkpoint"]), 0
form, facts, claim, attested = [receipt[part] for part in ("format", "facts", "claim", "attestation")]
check(facts and (form, receipt["name"]) == ("claim-verifier receipt", name), "no such receipt")
check(type(receipt["version"]) is int and receipt["version"] == 1, "a receipt of another version")
told = [f"verified: {name} has signed a log of size {size}, and what is here is in it (facts: {len(facts)})"]
told += [f"stated, not proved: the log's id is {receipt['log']!r}"] if facts[0]["position"] > 1 else []
for fact in facts + ([attested["fact"]] if attested is not None else []):
    before, where, leaf = where, fact["position"], json.loads(fact["leaf"])
    check(type(where) is int and where > before, f"position {where} comes after position {before}")
    reached = root_by(where - 1, int(size), fact["leaf"], fact["proof"])
    check(reached == b64decode(root), f"position {where} is not in the log")
    check(where > 1 or leaf["fact"]["log"] == receipt["log"], f"the log's id is not {receipt['log']!r}")
    for slot, salt, text in [(slot, fact[f"{slot}_salt"], fact[slot]) for slot in ("wording", "identity")]:
        if salt is None and text is None:
            told += [f"missing: the {slot} of position {where}, left out or erased"]
            continue
        opened = sha256(('["' + salt + '","' + slot + '",' + text + "]").encode()).hexdigest()
        check(len(salt) == 32 and opened == leaf[slot], f"the {slot} of position {where} was changed")
if claim is not None:
    check({json.loads(fact["leaf"])["stream"] for fact in facts} == {f"claim:{claim['id']}"}, "a fact is of another")
    told += [f"stated, not proved: the claim stands as {claim['label']!r}, by {claim['basis']['policy']!r}"]
if attested is not None:
    state, tree = json.loads(attested["state"]), root_by(*map(attested.get, ("index", "size", "state", "proof")))
    says = {"type": "statuses.attested", "root": tree.hex(), "at": attested["at"], "policy": attested["policy"]}
    check(says == leaf["fact"] and type(says["at"]) is int, "this state was not attested")
    check((state["claim"], state["position"]) == (claim["id"], facts[-1]["position"]), "another state was attested")
    told += [f"verified: {claim['id']} was attested as {state['status']} at {says['at']}, by {says['policy']}"]
sys.stdout.reconfigure(errors="backslashreplace")
print("\n".join(told))
