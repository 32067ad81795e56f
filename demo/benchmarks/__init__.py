"""Speed and memory on this machine, one module per question."""
