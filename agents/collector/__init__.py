"""The collector: what comes back over HTTP from customers and providers."""
