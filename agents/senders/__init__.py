"""Channel senders: the host loops and the providers."""
