"""Bounded readers of encodings that several formats share. No inspector has its own."""
