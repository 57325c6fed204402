"""Signatures, encryption, tokens and the vault: the only place that imports `cryptography`."""
