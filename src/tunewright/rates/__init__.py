"""Step 5: how fast each layer trains: groups by depth, optimisers, schedules, the finder."""
