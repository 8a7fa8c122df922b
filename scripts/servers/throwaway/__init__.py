"""Starts real servers in a private directory, for as long as whoever asked for them lives."""
