"""What single rows reveal without a model: personal data, languages, damage, and values far from all others."""
