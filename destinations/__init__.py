"""Destination adapters; each translates one batch of changes into one vendor's requests."""
