"""Shared helper module of the spectral-bias study: one file per idea, plain functions, no framework."""
