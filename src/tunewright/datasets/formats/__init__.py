"""How files hold examples."""
