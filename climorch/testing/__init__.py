"""What a port's implementer needs: conformance suites and in-memory doubles."""
