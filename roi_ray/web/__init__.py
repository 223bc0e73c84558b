"""What every web server of the project needs: limits, keys, errors as JSON, addresses."""
