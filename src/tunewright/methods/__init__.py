"""Step 4: what trains. One file per method; each changes a network in place and says what it did."""
