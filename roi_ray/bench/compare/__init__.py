"""Compare the speed of two source trees in one call: a stored run's and today's, in turns."""
