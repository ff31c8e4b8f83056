"""What every room uses: types, errors, parts, files, seeds, devices."""
