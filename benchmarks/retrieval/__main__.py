"""`python -m benchmarks.retrieval [QUESTIONS.jsonl ...]`"""

from __future__ import annotations

import sys

from benchmarks.retrieval.measure import main

main(sys.argv[1:])
