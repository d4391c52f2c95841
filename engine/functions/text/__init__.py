"""Text: search, formats, JSON, digests."""
