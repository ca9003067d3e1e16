"""What a trial, and a study, says of itself in the storage beside what Optuna keeps: the one home of these names."""

# of a trial
LEASE = "lease"  # who works on it (see lease.py)
BEAT = "beat"  # grows while a process of several machines works on it
ATTEMPT = "attempt"  # 1, and one more each time that its process was seen to die
FAILURE = "failure"  # why it has no value
RUN = "run"  # the id of the run that it became
ASIDE = "aside"  # why it counts as none: like another, against a constraint, known from before, tried again
AGAIN = "again"  # the number of the trial that it tries again (see again.py)
KNOWN = "known from "  # how that begins for what was tried before the study

# of a trial and of a study
STOP = "stop"  # when somebody asked to end it

# of a study
PARENT = "parent"  # the run that stands for it
COMMAND, FOLDER = "command", "folder"  # the words of the last command that worked on it, and where they were typed
TOTAL = "total"  # how many trials there will be
ENOUGH = "enough"  # after how many trials it was seen that more bring nothing, and by how many of them
SAID = "said"  # what varies
METRIC = "metric"  # what its values are of, less it where more is better
