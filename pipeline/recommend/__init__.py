"""Lists for the catalogue, computed from what was recorded: bought together, new, popular."""
