"""Raising pins to versions without known problems: what to change, in which file, and what to run instead."""
