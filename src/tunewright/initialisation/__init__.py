"""Step 6: from where training starts.

Contract: ``initialise(network, features, targets, labels, settings, seed)`` changes the network and says in words what it did;
``features()`` gives the training rows' features (n, width), computed only when called.
"""
