"""The commands of the command line, a file a group. Heavy imports wait until a command runs: completion is asked at
every key."""
