"""The parts of the report's page: tables, plots and pictures put into one HTML file."""
