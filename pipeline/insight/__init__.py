"""What the store learns from its journal: journey map, funnels, attribution. Pure folds of events."""
