"""What is known to be wrong with packages: OSV records, the store, the matcher, live services."""
