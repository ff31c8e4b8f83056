"""Conversations and instructions."""
