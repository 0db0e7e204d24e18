"""Raw records to native events or dead letters: mappings, validation, presets, files."""
