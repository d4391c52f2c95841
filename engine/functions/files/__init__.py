"""Files: text, tables, bytes and arrays."""
