"""What the pages ask of the read model: each function one or two indexed queries."""
