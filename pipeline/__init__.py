"""The stages of the pipeline, each without sockets or loops of its own."""
