"""What a process of a sweep is told by the one that watches over it: the names in its environment, and no other place.

Descriptors are numbers of open files that it inherits.
"""

CONTROLLER = "HARNESS_CONTROLLER"  # the id of the process that watches over this one
WORKER = "HARNESS_WORKER"  # which of its processes this one is, from 0
WORKERS = "HARNESS_WORKERS"  # how many it has
COMMAND = "HARNESS_COMMAND"  # the words of that one's own command, as JSON
DEATHS = "HARNESS_DEATHS"  # the descriptor of what it says of those that have ended
BOARD = "HARNESS_BOARD"  # the descriptor that rows of its table are written to
TRIAL = "HARNESS_TRIAL"  # the one trial that it is to try, as <sweep>/<number>; told by harness.sweep resume
DRAWN = "HARNESS_DRAWN"  # set where it draws how far a run has come
