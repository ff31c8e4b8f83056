"""Task: segmentation."""
