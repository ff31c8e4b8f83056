"""EncodedDataset: read, checked, split."""
