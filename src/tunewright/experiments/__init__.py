"""Many runs: studies of one question."""
