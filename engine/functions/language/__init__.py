"""The language itself: forms and types, higher-order functions, code as data."""
