"""The journal: bundle codec, ticks, watermark, duplicate filter."""
