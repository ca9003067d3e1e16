"""A step whose parent is asked to end while it works: it says so itself, and waits for the request to be passed on."""

import os
import signal

os.kill(os.getppid(), signal.SIGTERM)
signal.sigwait({signal.SIGUSR1})
