"""Readers of containers that several inspectors share: directories, codecs, layouts. No opinions."""
