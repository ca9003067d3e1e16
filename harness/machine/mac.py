"""What slows or stops a long run on a Mac, as its own tools tell it."""

import platform
import re
import subprocess
from collections.abc import Callable, Sequence

Read = Callable[[Sequence[str]], str]


def mac_advice(read: Read | None = None) -> list[str]:
    """A line for each thing to see to before a long run; none on other systems.

    `read` gives a command's output, or nothing where it fails.
    """
    if read is None:
        if platform.system() != "Darwin":
            return []
        read = _output
    advice = []
    assertions = read(["pmset", "-g", "assertions"])
    if not re.search(r"PreventUserIdleSystemSleep\s+1", assertions):
        advice.append("the Mac may fall asleep: put caffeinate -is before the command, as caffeinate -is python -m …")
    if re.search(r"PreventUserIdleDisplaySleep\s+1", assertions):
        advice.append(
            "something keeps the display on, as caffeinate -d does: macOS may end long work of the GPU for its sake; "
            "caffeinate -is lets the display sleep, pmset displaysleepnow puts it to sleep"
        )
    if "Battery Power" in read(["pmset", "-g", "batt"]):
        advice.append("it runs on battery: plug it in, the GPU is slower without")
    if re.search(r"lowpowermode\s+1", read(["pmset", "-g"])):
        advice.append("Low Power Mode is on: switch it off in the system settings, under Battery")
    if users := _gpu_users(read(["ps", "-Aceo", "comm"])):
        advice.append(f"other programs use the GPU and its memory: close {', '.join(users)} for the time")
    return advice


# programs that draw with the GPU all the time, or hold gigabytes of the memory that it shares
_HEAVY = ("Google Chrome", "Safari", "Firefox", "Microsoft Teams", "zoom.us", "Final Cut Pro", "LM Studio", "ollama")


def _gpu_users(names: str) -> list[str]:
    running = set(names.splitlines())
    return [name for name in _HEAVY if name.lower() in {each.strip().lower() for each in running}]


def _output(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
