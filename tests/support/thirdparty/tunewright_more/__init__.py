"""Parts for tunewright that live in another package; each module has another name than its part."""
