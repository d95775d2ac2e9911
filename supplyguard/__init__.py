"""supplyguard: is what a machine-learning project pulls in safe to install and to load?

The public Python API: the types of finding.py and inventory.py, and `scan` once it is imported
from supplyguard.scan.
"""

__version__ = "0.1.0"
