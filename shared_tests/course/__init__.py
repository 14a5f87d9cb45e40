"""'Write your own engine' as tests: what belongs to each step, and what a mistake in it looks like."""
