"""`python -m supplyguard`."""

from __future__ import annotations

from supplyguard.cli import main

if __name__ == "__main__":
    main()
