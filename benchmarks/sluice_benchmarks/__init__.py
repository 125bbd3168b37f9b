"""Benchmarks: each compares candidates side by side in one run, and judges them by ratios."""
