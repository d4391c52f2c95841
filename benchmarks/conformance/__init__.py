"""How far the embedded engine agrees with the examples of DolphinDB's function documentation."""
