"""The command line: flags made of settings, what the terminal prints, forecasts, downloads."""
