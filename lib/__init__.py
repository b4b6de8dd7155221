"""Shared helper module of the spectral-bias study: six rooms, plain functions, no framework."""
