"""Transparency logs in their public formats: hashes, proofs, tiles, notes, checkpoints, policies, a witness.

Pure: no I/O and no clock, so that anyone's vectors can be run against it. Strict: one spelling of everything.
Whatever a function is given, it raises `TlogError` or nothing; verifying returns what was verified, or raises.

The formats are C2SP tlog-tiles, tlog-checkpoint, signed-note, tlog-cosignature, tlog-witness, tlog-proof and
tlog-policy, the hashing is that of RFC 6962, and canonical JSON that of RFC 8785.
"""

from events.tlog.canonical import canonical_json
from events.tlog.checkpoints import add_cosignatures, cosign, open_checkpoint, sign_checkpoint
from events.tlog.errors import Malformed, TlogError, Unsatisfied, Unsupported, Unverified
from events.tlog.hashing import EMPTY_ROOT, Frontier, leaf_hash, node_hash, tree_root
from events.tlog.head import Head, format_head, parse_head
from events.tlog.keys import COSIGNATURE, ED25519, MLDSA_COSIGNATURE, VerifierKey, new_key, parse_vkey, vkey_of
from events.tlog.notes import Signature, open_note, sign_note, split_note
from events.tlog.policy import Policy, check_policy, parse_policy, policy_satisfied
from events.tlog.proofs import (
    ReadTile,
    prove_consistency,
    prove_inclusion,
    root_at,
    tiles_needed,
    verify_consistency,
    verify_inclusion,
)
from events.tlog.reading import MAX_SIZE
from events.tlog.tiles import TILE_WIDTH, entry_bundle, parse_entry_bundle, parse_tile_path, tile_path, width_at
from events.tlog.tlog_proof import TlogProof, format_tlog_proof, parse_tlog_proof, verify_tlog_proof
from events.tlog.witness import MAX_REQUEST, NEVER, Witnessed, witness

__all__ = [
    "COSIGNATURE",
    "ED25519",
    "EMPTY_ROOT",
    "MAX_REQUEST",
    "MAX_SIZE",
    "MLDSA_COSIGNATURE",
    "NEVER",
    "TILE_WIDTH",
    "Frontier",
    "Head",
    "Malformed",
    "Policy",
    "ReadTile",
    "Signature",
    "TlogError",
    "TlogProof",
    "Unsatisfied",
    "Unsupported",
    "Unverified",
    "VerifierKey",
    "Witnessed",
    "add_cosignatures",
    "canonical_json",
    "check_policy",
    "cosign",
    "entry_bundle",
    "format_head",
    "format_tlog_proof",
    "leaf_hash",
    "new_key",
    "node_hash",
    "open_checkpoint",
    "open_note",
    "parse_entry_bundle",
    "parse_head",
    "parse_policy",
    "parse_tile_path",
    "parse_tlog_proof",
    "parse_vkey",
    "policy_satisfied",
    "prove_consistency",
    "prove_inclusion",
    "root_at",
    "sign_checkpoint",
    "sign_note",
    "split_note",
    "tile_path",
    "tiles_needed",
    "tree_root",
    "verify_consistency",
    "verify_inclusion",
    "verify_tlog_proof",
    "vkey_of",
    "width_at",
    "witness",
]
