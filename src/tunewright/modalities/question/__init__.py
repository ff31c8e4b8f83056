"""Questions with the text that answers them."""
