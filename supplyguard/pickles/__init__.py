"""The pickle machine: opcodes, symbolic stack and memo, and what globals do. Runs nothing."""
