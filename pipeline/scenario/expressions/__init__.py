"""CEL expressions: a grammar, static types, and compilation to closures."""
