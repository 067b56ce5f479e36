"""Benchmarks: ``python -m bench`` runs them all and fails when a bar is missed."""
