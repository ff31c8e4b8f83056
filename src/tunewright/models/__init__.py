"""Step 1: pre-trained networks behind one protocol: a stack of layers, strict loading, one forward."""
