"""What is neither a stage nor a setting: files, devices and hosts, signals, clocks."""
