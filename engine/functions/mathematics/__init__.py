"""Mathematics: elementary, linear algebra, calculus, optimisation."""
