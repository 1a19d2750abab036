"""Implementations that are not ours accept what we make, and we accept what they make.

`pymerkle` and `sigstore` know the tree; `sigstore` and `proofbundle` know signed notes; `proofbundle` also knows
consistency in the form of RFC 6962, cosignatures and proof files.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from proofbundle import checkpoint as proofbundle_notes
from proofbundle import merkle as proofbundle_tree
from proofbundle import tlogproof as proofbundle_proofs
from pymerkle import InmemoryTree, InvalidProof, MerkleProof
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint, verify_checkpoint
from sigstore._internal.trust import Keyring
from sigstore.errors import VerificationError
from sigstore.models import TransparencyLogEntry
from sigstore_models.common.v1 import PublicKey, PublicKeyDetails
from sigstore_models.rekor import v1 as rekor

from events.tlog import (
    cosign,
    format_tlog_proof,
    open_checkpoint,
    parse_vkey,
    prove_consistency,
    prove_inclusion,
    sign_checkpoint,
    tree_root,
    verify_consistency,
    verify_inclusion,
    verify_tlog_proof,
)
from tests.events.tlog.independent import LOG, PQ_WITNESS, STRANGER, WITNESS, Signer
from tests.events.tlog.trees import Tiled

LEAVES = [b"leaf %d" % n for n in range(40)]
TREE = Tiled(LEAVES)
ROOTS = [tree_root(LEAVES[:size]) for size in range(41)]
SIGNED = sign_checkpoint(LOG.name, LOG.seed, 40, ROOTS[40])
EVERY_ENTRY = [(index, size) for size in range(1, 41) for index in range(size)]
EVERY_GROWTH = [(old, new) for new in range(1, 41) for old in range(1, new + 1)]


# ---- pymerkle


@pytest.fixture(scope="module")
def pymerkle() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    for leaf in LEAVES:
        tree.append_entry(leaf)
    return tree


def with_our_hashes(theirs: MerkleProof, path: list[bytes]) -> MerkleProof:
    """A proof of theirs, which also says how its hashes are joined, with our hashes in place of theirs."""
    return MerkleProof.deserialize({**theirs.serialize(), "path": [hashed.hex() for hashed in path]})


def test_pymerkle_has_the_same_roots(pymerkle: InmemoryTree) -> None:
    assert [pymerkle.get_root(size) for size in range(41)] == ROOTS


def test_pymerkle_verifies_every_inclusion_proof(pymerkle: InmemoryTree) -> None:
    for index, size in EVERY_ENTRY:
        path = [TREE.hashes[index], *prove_inclusion(index, size, TREE.tile)]
        proof = with_our_hashes(pymerkle.prove_inclusion(index + 1, size), path)
        proof.verify(TREE.hashes[index], ROOTS[size], index=index + 1, size=size)


def test_pymerkle_verifies_the_consistency_proofs_that_it_can_write(pymerkle: InmemoryTree) -> None:
    # It names the two lowest hashes in the other order, and goes down to a leaf where RFC 6962 stops at a full
    # subtree. From an odd size the last full subtree is a leaf, and both have the same hashes.
    for old, new in EVERY_GROWTH:
        if old % 2 and old < new:
            hashes = [*([ROOTS[1]] if old == 1 else []), *prove_consistency(old, new, TREE.tile)]
            path = [hashes[1], hashes[0], *hashes[2:]]
            proof = with_our_hashes(pymerkle.prove_consistency(old, new), path)
            proof.verify(ROOTS[old], ROOTS[new], prior_size=old, later_size=new)
            with pytest.raises(InvalidProof):
                proof.verify(ROOTS[old - 1], ROOTS[new], prior_size=old, later_size=new)


# ---- sigstore


def rekor_entry(index: int, size: int, checkpoint: bytes = SIGNED) -> TransparencyLogEntry:
    """An entry of a log with our proof, in the form that sigstore reads."""

    def base64(raw: bytes) -> str:
        return b64encode(raw).decode()

    written = {
        "logIndex": str(index),
        "logId": {"keyId": base64(LOG.id + bytes(28))},
        "kindVersion": {"kind": "leaf", "version": "1"},
        "inclusionProof": {
            "logIndex": str(index),
            "treeSize": str(size),
            "rootHash": base64(ROOTS[size]),
            "hashes": [base64(hashed) for hashed in prove_inclusion(index, size, TREE.tile)],
            "checkpoint": {"envelope": checkpoint.decode()},
        },
        "canonicalizedBody": base64(LEAVES[index]),
    }
    return TransparencyLogEntry(rekor.TransparencyLogEntry.from_dict(written))


def keyring(signer: Signer) -> Any:
    """The key of a signer as sigstore keeps those of logs."""
    der = signer.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Keyring([PublicKey(raw_bytes=b64encode(der), key_details=PublicKeyDetails.PKIX_ED25519)])


def test_sigstore_verifies_every_inclusion_proof() -> None:
    for index, size in EVERY_ENTRY:
        verify_merkle_inclusion(rekor_entry(index, size))


def test_sigstore_verifies_our_checkpoint() -> None:
    verify_checkpoint(keyring(LOG), rekor_entry(5, 40))

    read = SignedCheckpoint.from_text(SIGNED.decode()).checkpoint
    assert (read.origin, read.log_size, read.log_hash) == (LOG.name, 40, ROOTS[40].hex())


def test_sigstore_refuses_our_checkpoint_under_another_key_or_for_another_root() -> None:
    with pytest.raises(VerificationError):
        verify_checkpoint(keyring(STRANGER), rekor_entry(5, 40))
    with pytest.raises(VerificationError):
        verify_checkpoint(keyring(LOG), rekor_entry(5, 39))


# ---- proofbundle


def test_proofbundle_verifies_every_inclusion_and_every_continuation() -> None:
    for index, size in EVERY_ENTRY:
        proof = prove_inclusion(index, size, TREE.tile)
        assert proofbundle_tree.verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
    for old, new in EVERY_GROWTH:
        proof = prove_consistency(old, new, TREE.tile)
        assert proofbundle_tree.verify_consistency(old, new, proof, ROOTS[old], ROOTS[new])


def test_we_verify_the_proofs_of_proofbundle() -> None:
    for index, size in EVERY_ENTRY:
        proof = proofbundle_tree.inclusion_proof(LEAVES[:size], index)
        verify_inclusion(index, size, TREE.hashes[index], proof, ROOTS[size])
    for old, new in EVERY_GROWTH:
        verify_consistency(old, new, proofbundle_tree.consistency_proof(LEAVES[:new], old), ROOTS[old], ROOTS[new])


def test_proofbundle_verifies_our_checkpoint_and_we_verify_its() -> None:
    vkey = str(parse_vkey(LOG.vkey))
    read = proofbundle_notes.verify_checkpoint(SIGNED.decode(), vkey)
    theirs = proofbundle_notes.sign_checkpoint(LOG.name, 40, ROOTS[40], LOG.private, LOG.name)

    assert (read["ok"], read["origin"], read["tree_size"], read["root"]) == (True, LOG.name, 40, ROOTS[40])
    assert proofbundle_notes.vkey(LOG.name, LOG.public) == vkey
    assert theirs.encode() == SIGNED
    assert not proofbundle_notes.verify_checkpoint(SIGNED.decode().replace("\n40\n", "\n41\n"), vkey)["ok"]


@pytest.mark.parametrize("witness", [WITNESS, PQ_WITNESS], ids=["Ed25519", "ML-DSA-44"])
def test_proofbundle_verifies_our_cosignatures(witness: Signer) -> None:
    both = SIGNED + cosign(SIGNED, witness.secret, 1_700_000_000)

    read = proofbundle_notes.verify_cosignature(both.decode(), str(parse_vkey(witness.vkey)))

    assert (read["ok"], read["timestamp"], read["root"]) == (True, 1_700_000_000, ROOTS[40])


def test_we_verify_the_cosignatures_of_proofbundle() -> None:
    once = proofbundle_notes.cosign_checkpoint(SIGNED.decode(), WITNESS.private, WITNESS.name, 1_700_000_000)
    twice = proofbundle_notes.cosign_checkpoint_mldsa(once, PQ_WITNESS.private, PQ_WITNESS.name, 1_700_000_000)

    vkeys = [
        proofbundle_notes.cosign_vkey(WITNESS.name, WITNESS.public),
        proofbundle_notes.cosign_vkey_mldsa(PQ_WITNESS.name, PQ_WITNESS.public),
    ]
    assert open_checkpoint(twice.encode(), LOG.name, [LOG.vkey], vkeys) == (40, ROOTS[40])


def test_proofbundle_verifies_our_proof_files_and_we_verify_its() -> None:
    cosigned = SIGNED + cosign(SIGNED, WITNESS.secret, 1_700_000_000)
    proof = prove_inclusion(7, 40, TREE.tile)
    ours = format_tlog_proof(7, proof, cosigned, b"extra")
    theirs = proofbundle_proofs.format_tlog_proof(7, proof, cosigned.decode(), b"extra")

    read = proofbundle_proofs.verify_tlog_proof(
        ours.decode(), LEAVES[7], LOG.vkey, [WITNESS.vkey], threshold=1, expected_origin=LOG.name
    )

    assert read["ok"], read
    assert theirs.encode() == ours
    assert verify_tlog_proof(theirs.encode(), TREE.hashes[7], LOG.name, [LOG.vkey]).index == 7
