"""Penalties on the weights, added once per optimiser step.

Contract: ``prepare(network, trainable, settings)`` remembers what it needs at the start and returns a function without
arguments that gives a differentiable scalar.
"""
