"""What a report looks like: one module an output, each a pure `render(report) -> str`."""
