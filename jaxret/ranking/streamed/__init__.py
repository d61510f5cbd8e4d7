"""Search in a database that no memory holds: shards of files pass by, k results a query stay."""
