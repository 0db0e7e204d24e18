"""What every Kafka process shares: topics, clients, readers."""
