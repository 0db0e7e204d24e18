"""The cluster's own workers on one thread, on a simulated Kafka, clock, disk and provider, from one seed."""
